// The tensors of a dense Qwen3 as Hugging Face names them, in canonical order: embedding, layers, final norm, head.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/tensor_view.h"
#include "model/model_config.h"
#include "model/weight_formats.h"
#include "weights/checkpoint.h"

namespace qwen {

struct ExpectedTensor {
  std::string name;
  Shape shape;            // linears are [out, in]
  bool optional = false;  // lm_head.weight of a tied model: some exporters write it, nobody reads it
  bool linear = false;    // a matrix; a quantized checkpoint may spell it in parts; name is the plain one's
};

std::string module_of(const ExpectedTensor& tensor);  // its name without ".weight"

std::vector<ExpectedTensor> expected_tensors(const ModelConfig& config);
std::vector<ExpectedTensor> required_tensors(const ModelConfig& config);  // without the optional ones

bool is_layer_matrix(const ExpectedTensor& tensor);  // of a decoder layer: neither embedding nor head nor a vector

// What a checkpoint of plain weights holds for it. Errors: kBadData where there is only a quantized weight.
const TensorInfo& plain_tensor(const Checkpoint& checkpoint, const ExpectedTensor& tensor);

// The format that its weights get: the layers' matrices one, embedding and head the other, vectors none.
QuantFormat weight_format_of(const ExpectedTensor& tensor, const WeightFormats& formats);

// Numbers in the model, a tied head counted once.
int64_t parameter_count(const ModelConfig& config);

// The names under which the checkpoint holds it: its own, or the parts of a quantized weight.
std::vector<std::string> stored_tensors(const Checkpoint& checkpoint, const ModelConfig& config,
                                        const ExpectedTensor& tensor);

// Throws kBadData listing the first five tensors that are missing or have another shape or a dtype other than f32, f16,
// bf16; the parts of quantized weights are checked in full when they are read. Tensors that the model does not use are
// warned about and ignored.
void check_tensors(const Checkpoint& checkpoint, const ModelConfig& config);

}  // namespace qwen
