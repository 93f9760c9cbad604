// A dense Qwen3's config and tensors under the names that GGUF has for them.
#pragma once

#include <string>
#include <string_view>

#include "model/model_config.h"
#include "peers/gguf_writer.h"

namespace qwen {

// "model.layers.3.mlp.up_proj.weight" → "blk.3.ffn_up.weight". Errors: kBadData for a name that a plain Qwen3 in GGUF
// does not have, a bias for one.
std::string gguf_name(std::string_view tensor);

// Every key that loading wants. The vocabulary is made up: all bytes, the three control tokens that Qwen3 ends and
// begins with, and unused entries up to the size of the embedding. Errors: kBadData where that is smaller.
void set_model_keys(GgufWriter& writer, const ModelConfig& config, GgmlType type);

}  // namespace qwen
