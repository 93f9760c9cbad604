#include "quant/gptq_matrix.h"

#include "base/dtype.h"
#include "base/error.h"

namespace qwen {
namespace {

template <typename T>
TensorView view_of(DType dtype, const Shape& shape, const std::vector<T>& data) {
  return {dtype, shape, reinterpret_cast<const std::byte*>(data.data())};
}

void put_field(uint32_t& word, int64_t index, int bits, int value) {
  const int shift = static_cast<int>(index) * bits;
  const uint32_t mask = ((1u << bits) - 1) << shift;
  word = (word & ~mask) | (static_cast<uint32_t>(value) << shift & mask);
}

}  // namespace

GptqMatrix::GptqMatrix(int64_t rows, int64_t cols, int bits, int64_t group_size, int zero_offset)
    : format_{.kind = QuantFormat::Kind::kGptq,
              .bits = bits,
              .group_size = static_cast<int>(group_size),
              .zero_offset = zero_offset},
      rows_(rows),
      cols_(cols) {
  QWEN_CHECK((bits == 4 || bits == 8) && rows % fields() == 0 && cols % fields() == 0 && group_size > 0 &&
             (zero_offset == 0 || zero_offset == 1));
  const int64_t groups = (cols + group_size - 1) / group_size;
  qweight_.resize(static_cast<size_t>(cols / fields() * rows));
  qzeros_.resize(static_cast<size_t>(groups * rows / fields()));
  scales_.resize(static_cast<size_t>(groups * rows));
  for (int64_t col = 0; col < cols; ++col) g_idx_.push_back(static_cast<int32_t>(col / group_size));
}

void GptqMatrix::set_grid(int64_t row, int64_t group, const GptqGrid& grid) {
  scales_[static_cast<size_t>(group * rows_ + row)] = f32_to_f16(grid.scale);
  put_field(qzeros_[static_cast<size_t>((group * rows_ + row) / fields())], row % fields(), format_.bits,
            grid.zero - format_.zero_offset);
}

void GptqMatrix::set(int64_t row, int64_t col, int q) {
  put_field(qweight_[static_cast<size_t>(col / fields() * rows_ + row)], col % fields(), format_.bits, q);
}

HostMatrix GptqMatrix::view() const {
  const int64_t groups = static_cast<int64_t>(scales_.size()) / rows_;
  return {.format = format_,
          .rows = rows_,
          .cols = cols_,
          .weight = view_of(DType::kI32, {cols_ / fields(), rows_}, qweight_),
          .scales = view_of(DType::kF16, {groups, rows_}, scales_),
          .zeros = view_of(DType::kI32, {groups, rows_ / fields()}, qzeros_),
          .g_idx = view_of(DType::kI32, {cols_}, g_idx_)};
}

}  // namespace qwen
