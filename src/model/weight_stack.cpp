// See weight_stack.h.
#include "model/weight_stack.h"

#include <algorithm>

#include "model/weight_formats.h"
#include "quant/integer_rows.h"

namespace qwen {

WeightStack::WeightStack(const Checkpoint& checkpoint, const QuantizationConfig& quantization,
                         std::span<const std::string> modules, int64_t cols)
    : checkpoint_(checkpoint), cols_(cols) {
  weights_.reserve(modules.size());
  for (const std::string& module : modules) {
    const LinearWeight& weight = weights_.emplace_back(checkpoint, quantization, module);
    name_ += str(name_.empty() ? "" : "+", module);
    const Shape shape = weight.checked_shape();
    if (shape[1] != cols) {
      throw Error(ErrorCode::kBadData, str(checkpoint.directory().string(), ": tensor ", module, ".weight has ",
                                           shape[1], " columns but needs ", cols));
    }
    rows_ += shape[0];
  }
}

DType WeightStack::stored_dtype() const {
  const auto is_bf16 = [&](const LinearWeight& weight) {
    const TensorInfo* const plain = checkpoint_.find(weight.module() + ".weight");
    return !weight.quantized() && plain != nullptr && plain->dtype == DType::kBF16;
  };
  return std::all_of(weights_.begin(), weights_.end(), is_bf16) ? DType::kBF16 : DType::kF32;
}

std::span<const HostMatrix> WeightStack::matrices() {
  if (matrices_.empty()) {
    for (const LinearWeight& weight : weights_) matrices_.push_back(in_folder([&] { return weight.matrix(); }, ""));
  }
  return matrices_;
}

QuantFormat WeightStack::prepared_format(const Backend& backend, const QuantFormat& asked) {
  if (prepared_ && asked_ == asked) return *prepared_;
  for (const LinearWeight& weight : weights_) {
    const QuantFormat& stored = weight.format();
    if (is_integer_kind(stored) && is_integer_kind(asked) && stored != asked) {
      throw Error(ErrorCode::kBadData,
                  str(checkpoint_.directory().string(), ": tensor ", weight.module(), ".qweight holds ",
                      weight_format_name(stored), " weights, which config.json's quantization_config makes ",
                      weight_format_name(asked)));
    }
  }
  const std::span<const HostMatrix> stacked = matrices();
  prepared_ = ask([&] { return backend.prepared_format(stacked, asked); });
  asked_ = asked;
  return *prepared_;
}

Matrix WeightStack::prepare(Backend& backend, const QuantFormat& format) {
  const std::span<const HostMatrix> stacked = matrices();
  return ask([&] { return backend.prepare(stacked, format); });
}

void WeightStack::release() {
  matrices_.clear();  // views of a tensor that its file misaligns are of a copy, which goes too
  for (const LinearWeight& weight : weights_) {
    for (const std::string& name : weight.tensors()) checkpoint_.release(name);
  }
}

}  // namespace qwen
