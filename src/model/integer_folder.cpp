#include "model/integer_folder.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/tensor_names.h"
#include "quant/finite_values.h"
#include "quant/integer_rows.h"

namespace qwen {
namespace {

constexpr uint64_t kPieceBytes = 32 << 20;  // of a source matrix, quantized and written at once

class Job {
 public:
  Job(const Checkpoint& checkpoint, Backend& backend, ModelFolderWriter& writer, const ProgressFn& progress,
      uint64_t total_bytes)
      : checkpoint_(checkpoint), backend_(backend), writer_(writer), progress_(progress), total_bytes_(total_bytes) {}

  void declare(const ExpectedTensor& tensor, const QuantFormat& format) {
    const TensorInfo& info = plain_tensor(checkpoint_, tensor);
    if (format.kind == QuantFormat::Kind::kNone) return writer_.declare(tensor.name, info.dtype, info.shape);
    if (format.kind == QuantFormat::Kind::kInt4 && tensor.shape[1] % 2 != 0)
      throw Error(ErrorCode::kBadData,
                  str("tensor ", tensor.name, " has ", tensor.shape[1], " columns, which are no pairs; use int8"));
    const IntegerRowsShape shape = integer_rows_shape(format, tensor.shape[0], tensor.shape[1]);
    const std::string module = module_of(tensor);
    writer_.declare(module + ".qweight", integer_rows_dtype(format), shape.qweight);
    writer_.declare(module + ".scales", DType::kBF16, shape.scales);
  }

  void write(const ExpectedTensor& tensor, const QuantFormat& format) {
    const TensorView view = checkpoint_.view(tensor.name);
    if (format.kind == QuantFormat::Kind::kNone)
      copy(tensor.name, view);
    else
      quantize(module_of(tensor), {.rows = tensor.shape[0], .cols = tensor.shape[1], .weight = view}, format);
    checkpoint_.release(tensor.name);
  }

 private:
  void copy(const std::string& name, const TensorView& view) {
    for (uint64_t done = 0; done < view.size_bytes(); done += kPieceBytes) {
      const uint64_t size = std::min<uint64_t>(kPieceBytes, view.size_bytes() - done);
      check_finite({view.dtype, {static_cast<int64_t>(size / dtype_size(view.dtype))}, view.data + done}, name);
      writer_.write_at(name, done, {view.data + done, size});
      report(size);
    }
  }

  void quantize(const std::string& module, const HostMatrix& plain, const QuantFormat& format) {
    const uint64_t row_bytes = static_cast<uint64_t>(plain.cols) * dtype_size(plain.weight.dtype);
    const int64_t most = static_cast<int64_t>(std::max<uint64_t>(1, kPieceBytes / row_bytes));
    for (int64_t row = 0; row < plain.rows; row += most) {
      const int64_t count = std::min(most, plain.rows - row);
      const IntegerRowsShape shape = integer_rows_shape(format, count, plain.cols);
      qweight_.resize(static_cast<size_t>(shape.qweight.num_elements()));
      scales_.resize(static_cast<size_t>(shape.scales.num_elements()));
      backend_.quantize_rows(plain, row, count, format, qweight_.data(), scales_.data());
      // Of a group that holds what is not finite the scale is not either.
      check_finite({DType::kBF16, shape.scales, reinterpret_cast<const std::byte*>(scales_.data())},
                   module + ".weight");
      writer_.write_at(module + ".qweight", static_cast<uint64_t>(row * shape.qweight[1]),
                       std::as_bytes(std::span(qweight_)));
      writer_.write_at(module + ".scales", static_cast<uint64_t>(row * shape.scales[1]) * sizeof(uint16_t),
                       std::as_bytes(std::span(scales_)));
      report(static_cast<uint64_t>(count) * row_bytes);
    }
  }

  void report(uint64_t bytes) {
    done_bytes_ += bytes;
    if (progress_) progress_(done_bytes_, total_bytes_);
  }

  const Checkpoint& checkpoint_;
  Backend& backend_;
  ModelFolderWriter& writer_;
  const ProgressFn& progress_;
  uint64_t total_bytes_, done_bytes_ = 0;
  std::vector<uint8_t> qweight_;
  std::vector<uint16_t> scales_;
};

}  // namespace

void write_integer_folder(const Checkpoint& checkpoint, const ModelConfig& config, const WeightFormats& formats,
                          Backend& backend, ModelFolderWriter& writer, const ProgressFn& progress) {
  check_tensors(checkpoint, config);
  const std::vector<ExpectedTensor> tensors = required_tensors(config);
  uint64_t total = 0;
  for (const ExpectedTensor& tensor : tensors) total += plain_tensor(checkpoint, tensor).size_bytes;
  Job job(checkpoint, backend, writer, progress, total);
  for (const ExpectedTensor& tensor : tensors) job.declare(tensor, weight_format_of(tensor, formats));
  writer.begin();
  for (const ExpectedTensor& tensor : tensors) job.write(tensor, weight_format_of(tensor, formats));
}

}  // namespace qwen
