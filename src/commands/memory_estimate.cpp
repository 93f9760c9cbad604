#include "commands/memory_estimate.h"

#include "base/dtype.h"
#include "model/tensor_names.h"
#include "quant/integer_format.h"

namespace qwen {
namespace {

constexpr int64_t kBf16Bytes = 2, kScaleBytes = 4;
constexpr int64_t kInt4Group = 128;

bool is_linear(const ExpectedTensor& tensor) {
  return tensor.shape.rank() == 2 && tensor.name.find(".layers.") != std::string::npos;
}

}  // namespace

std::vector<FormatEstimate> estimate_weights(const ModelConfig& config) {
  FormatEstimate none{"none"}, int8{"int8"}, int4{"int4"};
  for (const ExpectedTensor& tensor : expected_tensors(config)) {
    if (tensor.optional) continue;
    const int64_t plain = tensor.shape.num_elements() * kBf16Bytes;
    none.weight_bytes += plain;
    if (!is_linear(tensor)) {
      int8.weight_bytes += plain;
      int4.weight_bytes += plain;
      continue;
    }
    const int64_t rows = tensor.shape[0], cols = tensor.shape[1];
    const int64_t groups = (cols + kInt4Group - 1) / kInt4Group;
    int8.weight_bytes += rows * cols + rows * 4;
    int4.weight_bytes += rows * ((cols + 1) / 2) + rows * groups * 4;
  }
  return {none, int8, int4};
}

int64_t kv_bytes_per_token(const ModelConfig& config, DType dtype) {
  const int64_t scales = dtype == DType::kI8 ? (config.head_dim + kIntegerGroup - 1) / kIntegerGroup : 0;
  const int64_t head = config.head_dim * static_cast<int64_t>(dtype_size(dtype)) + scales * kScaleBytes;
  return config.num_hidden_layers * 2 * config.num_key_value_heads * head;
}

}  // namespace qwen
