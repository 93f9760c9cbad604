// See module_stacks.h.
#include "model/module_stacks.h"

#include "base/error.h"

namespace qwen {
namespace {

std::vector<int64_t> output_sizes(const ModelConfig& config, LayerInput input) {
  switch (input) {
    case LayerInput::kQkv:
      return {config.q_size(), config.kv_size(), config.kv_size()};
    case LayerInput::kGateUp:
      return {config.intermediate_size, config.intermediate_size};
    case LayerInput::kO:
    case LayerInput::kDown:
      break;
  }
  return {config.hidden_size};
}

}  // namespace

std::vector<std::string> modules_of(LayerInput input, int64_t layer) {
  const std::string prefix = str("model.layers.", layer, '.');
  switch (input) {
    case LayerInput::kQkv:
      return {prefix + "self_attn.q_proj", prefix + "self_attn.k_proj", prefix + "self_attn.v_proj"};
    case LayerInput::kO:
      return {prefix + "self_attn.o_proj"};
    case LayerInput::kGateUp:
      return {prefix + "mlp.gate_proj", prefix + "mlp.up_proj"};
    case LayerInput::kDown:
      break;
  }
  return {prefix + "mlp.down_proj"};
}

int64_t input_size(const ModelConfig& config, LayerInput input) {
  switch (input) {
    case LayerInput::kO:
      return config.q_size();
    case LayerInput::kDown:
      return config.intermediate_size;
    case LayerInput::kQkv:
    case LayerInput::kGateUp:
      break;
  }
  return config.hidden_size;
}

std::vector<ModuleStack> module_stacks(const ModelConfig& config) {
  std::vector<ModuleStack> stacks;
  const auto add_head = [&](const char* module) {
    stacks.push_back({{module}, {config.vocab_size}, config.hidden_size, true});
  };
  add_head("model.embed_tokens");
  if (!config.tie_word_embeddings) add_head("lm_head");
  for (int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    for (const LayerInput input : kLayerInputs)
      stacks.push_back({modules_of(input, layer), output_sizes(config, input), input_size(config, input)});
  }
  return stacks;
}

}  // namespace qwen
