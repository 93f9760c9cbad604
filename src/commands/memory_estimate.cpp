#include "commands/memory_estimate.h"

#include <algorithm>

#include "backend/cpu/grouped_weights.h"
#include "backend/cpu/integer_weights.h"
#include "base/dtype.h"
#include "model/tensor_names.h"
#include "model/weight_formats.h"
#include "quant/integer_rows.h"
#include "quant/stored_groups.h"

namespace qwen {
namespace {

constexpr int64_t kBf16Bytes = 2, kScaleBytes = 4;

int64_t weight_bytes(const ExpectedTensor& tensor, const QuantFormat& format) {
  if (tensor.shape.rank() != 2) return tensor.shape.num_elements() * kBf16Bytes;
  if (is_grouped(format)) return static_cast<int64_t>(grouped_weight_bytes(format, tensor.shape[0], tensor.shape[1]));
  if (is_integer(format)) return static_cast<int64_t>(integer_weight_bytes(format, tensor.shape[0], tensor.shape[1]));
  return tensor.shape.num_elements() * kBf16Bytes;
}

// What a matrix with so many inputs is packed to; zero points are what AWQ is for.
QuantFormat packed_format(const QuantFormat& stored, int64_t cols, const QuantFormat& otherwise) {
  const int64_t row = (cols + kGroupedBlock - 1) / kGroupedBlock * kGroupedBlock;
  const int64_t size = std::min<int64_t>(stored.group_size, row);
  if (size % kGroupedBlock != 0) return otherwise;
  return {.kind = QuantFormat::Kind::kGrouped,
          .bits = stored.bits,
          .group_size = static_cast<int>(size),
          .zero_points = stored.kind == QuantFormat::Kind::kAwq};
}

int64_t model_bytes(const ModelConfig& config, const WeightFormats& formats) {
  int64_t bytes = 0;
  for (const ExpectedTensor& tensor : required_tensors(config)) {
    QuantFormat format = weight_format_of(tensor, formats);
    if (is_layer_matrix(tensor) && has_stored_groups(config.quantization.format))
      format = packed_format(config.quantization.format, tensor.shape[1], format);
    bytes += weight_bytes(tensor, format);
  }
  return bytes;
}

}  // namespace

std::vector<FormatEstimate> estimate_weights(const ModelConfig& config) {
  const QuantizationConfig& stored = config.quantization;
  if (is_integer_kind(stored.format)) return {{"none", model_bytes(config, {stored.format, stored.head})}};
  std::vector<FormatEstimate> estimates;
  for (const std::string_view name : {"none", "int8", "int4"}) {
    if (name == "int4" && has_stored_groups(stored.format)) continue;  // the same as int8
    estimates.push_back({name, model_bytes(config, weight_formats(name))});
  }
  return estimates;
}

int64_t kv_bytes_per_token(const ModelConfig& config, DType dtype) {
  const int64_t scales = dtype == DType::kI8 ? (config.head_dim + kIntegerGroup - 1) / kIntegerGroup : 0;
  const int64_t head = config.head_dim * static_cast<int64_t>(dtype_size(dtype)) + scales * kScaleBytes;
  return config.num_hidden_layers * 2 * config.num_key_value_heads * head;
}

}  // namespace qwen
