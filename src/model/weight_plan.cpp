// See weight_plan.h.
#include "model/weight_plan.h"

#include <utility>

#include "model/module_stacks.h"
#include "model/tensor_names.h"
#include "quant/stored_groups.h"

namespace qwen {

WeightPlan::WeightPlan(const Checkpoint& checkpoint, const ModelConfig& config, const WeightFormats& formats) {
  for (const ModuleStack& modules : module_stacks(config)) {
    WeightStack stack(checkpoint, config.quantization, modules.modules, modules.cols);
    num_weights_ += stack.rows() * stack.cols();
    std::string name = stack.name();
    stacks_.emplace(std::move(name), Planned{std::move(stack), modules.head ? formats.head : formats.linear});
  }
}

uint64_t WeightPlan::matrix_bytes(const Backend& backend, const PackedCache* cache) {
  uint64_t bytes = 0;
  for (auto& [name, planned] : stacks_) {
    WeightStack& stack = planned.stack;
    std::optional<QuantFormat> format = cache ? cache->format(name, planned.asked) : std::nullopt;
    if (!format) {
      format = stack.prepared_format(backend, planned.asked);
      stack.release();
    }
    bytes += backend.weight_bytes(stack.rows(), stack.cols(), stack.stored_dtype(), *format);
  }
  return bytes;
}

WeightStack* WeightPlan::find(const std::string& name) {
  const auto found = stacks_.find(name);
  return found == stacks_.end() ? nullptr : &found->second.stack;
}

uint64_t vector_bytes(const ModelConfig& config) {
  uint64_t bytes = 0;
  for (const ExpectedTensor& tensor : required_tensors(config)) {
    if (!tensor.linear) bytes += static_cast<uint64_t>(tensor.shape.num_elements()) * sizeof(float);
  }
  return bytes;
}

uint64_t expected_matrix_bytes(const ModelConfig& config, const Backend& backend, const WeightFormats& formats) {
  const QuantFormat& stored = config.quantization.format;
  uint64_t bytes = 0;
  for (const ModuleStack& modules : module_stacks(config)) {
    QuantFormat format = modules.head ? formats.head : formats.linear;
    int64_t rows = 0;
    for (const int64_t part : modules.rows) rows += part;
    const bool quantized = has_stored_groups(stored) && !modules.head;
    if (quantized) format = backend.expected_format(stored, modules.cols, format);
    bytes += backend.weight_bytes(rows, modules.cols, quantized ? DType::kF32 : config.dtype, format);
  }
  return bytes;
}

}  // namespace qwen
