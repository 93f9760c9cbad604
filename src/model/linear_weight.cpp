#include "model/linear_weight.h"

#include <array>

#include "base/error.h"
#include "quant/dequantize.h"
#include "quant/finite_values.h"
#include "quant/integer_format.h"
#include "quant/integer_rows.h"

namespace qwen {
namespace {

using Kind = QuantFormat::Kind;

// The parts that a module may have; all but the weight itself may be absent as far as this file is concerned.
constexpr std::array kPlain = {".weight"};
constexpr std::array kPacked = {".qweight", ".qzeros", ".scales", ".g_idx"};
constexpr std::array kIntegers = {".qweight", ".scales"};
constexpr std::array kFp8 = {".weight", ".weight_scale_inv", ".weight_scale", ".input_scale"};

QuantFormat format_of(const Checkpoint& checkpoint, const QuantizationConfig& quantization, const std::string& module) {
  const TensorInfo* const plain = checkpoint.find(module + ".weight");
  switch (quantization.format.kind) {
    case Kind::kNone:
    case Kind::kGrouped:
      return {};
    case Kind::kInt8:
    case Kind::kInt4: {  // an int4 folder's head is int8
      const TensorInfo* const integers = checkpoint.find(module + ".qweight");
      if (plain) return {};
      return integers && integers->dtype == DType::kI8
                 ? QuantFormat{.kind = Kind::kInt8, .bits = 8, .group_size = kIntegerGroup}
                 : quantization.format;
    }
    case Kind::kGptq:
    case Kind::kAwq:
      return plain ? QuantFormat{} : quantization.format;
    case Kind::kFp8Block:
      return plain && plain->dtype != DType::kF8E4M3 ? QuantFormat{} : quantization.format;
  }
  return {};
}

}  // namespace

LinearWeight::LinearWeight(const Checkpoint& checkpoint, const QuantizationConfig& quantization,
                           const std::string& module)
    : checkpoint_(checkpoint), module_(module), format_(format_of(checkpoint, quantization, module)) {
  const auto add = [&](const auto& suffixes) {
    for (const char* suffix : suffixes)
      if (checkpoint.find(module + suffix) != nullptr) tensors_.push_back(module + suffix);
  };
  if (format_.kind == Kind::kNone)
    add(kPlain);
  else if (format_.kind == Kind::kFp8Block)
    add(kFp8);
  else if (is_integer_kind(format_))
    add(kIntegers);
  else
    add(kPacked);
}

std::optional<Shape> LinearWeight::shape() const {
  const bool parts = format_.kind != Kind::kNone && format_.kind != Kind::kFp8Block;
  const TensorInfo* const weight = checkpoint_.find(module_ + (parts ? ".qweight" : ".weight"));
  if (weight == nullptr) return std::nullopt;
  if (!parts || format_.kind == Kind::kInt8 || weight->shape.rank() != 2) return weight->shape;
  const int64_t fields = 32 / format_.bits, first = weight->shape[0], last = weight->shape[1];
  // The checkpoint's reader has bounded the elements, so neither product leaves 64 bits.
  if (format_.kind == Kind::kInt4) return Shape{first, 2 * last};
  return format_.kind == Kind::kGptq ? Shape{last, first * fields} : Shape{last * fields, first};
}

TensorView LinearWeight::view(const std::string& suffix) const {
  const std::string name = module_ + suffix;
  return checkpoint_.find(name) == nullptr ? TensorView{} : checkpoint_.view(name);
}

Shape LinearWeight::checked_shape() const {
  const std::optional<Shape> size = shape();
  if (!size) throw Error(ErrorCode::kBadData, str("tensor ", module_, ".weight is missing"));
  if (size->rank() != 2)
    throw Error(ErrorCode::kBadData,
                str("tensor ", module_, ".weight has shape ", to_string(*size), " where a matrix is expected"));
  return *size;
}

HostMatrix LinearWeight::matrix() const {
  const Shape size = checked_shape();
  const char* scales = ".scales";
  HostMatrix matrix{.format = format_, .rows = size[0], .cols = size[1]};
  switch (format_.kind) {
    case Kind::kNone:
    case Kind::kGrouped:  // a backend's, never in a folder
      matrix.weight = view(".weight");
      break;
    case Kind::kInt8:
    case Kind::kInt4:
      matrix.weight = view(".qweight");
      matrix.scales = view(".scales");
      break;
    case Kind::kGptq:
    case Kind::kAwq:
      matrix.weight = view(".qweight");
      matrix.zeros = view(".qzeros");
      matrix.scales = view(".scales");
      if (format_.kind == Kind::kGptq) matrix.g_idx = view(".g_idx");
      break;
    case Kind::kFp8Block:
      matrix.weight = view(".weight");
      scales = checkpoint_.find(module_ + ".weight_scale_inv") ? ".weight_scale_inv" : ".weight_scale";
      matrix.scales = view(scales);
      break;
  }
  check_matrix(matrix, module_);
  if (quantized()) check_finite(matrix.scales, module_ + scales);
  return matrix;
}

}  // namespace qwen
