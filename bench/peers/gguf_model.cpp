// See gguf_model.h.
#include "peers/gguf_model.h"

#include <array>
#include <utility>
#include <vector>

#include "base/error.h"
#include "text/byte_level.h"

namespace qwen {
namespace {

using Names = std::pair<std::string_view, std::string_view>;
constexpr auto kModelNames = std::to_array<Names>({{"model.embed_tokens.weight", "token_embd.weight"},
                                                   {"model.norm.weight", "output_norm.weight"},
                                                   {"lm_head.weight", "output.weight"}});
constexpr auto kLayerNames = std::to_array<Names>({{"input_layernorm.weight", "attn_norm.weight"},
                                                   {"self_attn.q_proj.weight", "attn_q.weight"},
                                                   {"self_attn.k_proj.weight", "attn_k.weight"},
                                                   {"self_attn.v_proj.weight", "attn_v.weight"},
                                                   {"self_attn.o_proj.weight", "attn_output.weight"},
                                                   {"self_attn.q_norm.weight", "attn_q_norm.weight"},
                                                   {"self_attn.k_norm.weight", "attn_k_norm.weight"},
                                                   {"post_attention_layernorm.weight", "ffn_norm.weight"},
                                                   {"mlp.gate_proj.weight", "ffn_gate.weight"},
                                                   {"mlp.up_proj.weight", "ffn_up.weight"},
                                                   {"mlp.down_proj.weight", "ffn_down.weight"}});
constexpr std::string_view kLayers = "model.layers.";

constexpr int32_t kNormalToken = 1, kControlToken = 3, kUnusedToken = 5;  // llama.cpp's token types

uint32_t file_type(GgmlType type) {  // llama.cpp's numbers for "mostly of this type"
  switch (type) {
    case GgmlType::kF32:
      return 0;
    case GgmlType::kQ4_0:
      return 2;
    case GgmlType::kQ8_0:
      return 7;
    case GgmlType::kBF16:
      return 32;
  }
  return 0;
}

void set_vocabulary(GgufWriter& writer, int64_t size) {
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte) tokens.push_back(byte_level_spelling(std::string(1, static_cast<char>(byte))));
  std::vector<int32_t> types(tokens.size(), kNormalToken);
  const auto first_control = static_cast<uint32_t>(tokens.size());
  for (const char* control : {"<|endoftext|>", "<|im_start|>", "<|im_end|>"}) {
    tokens.emplace_back(control);
    types.push_back(kControlToken);
  }
  if (static_cast<int64_t>(tokens.size()) > size)
    throw Error(ErrorCode::kBadData, str("vocab_size is ", size, "; at least ", tokens.size(), " is needed"));
  while (static_cast<int64_t>(tokens.size()) < size) {
    tokens.push_back("[UNUSED" + std::to_string(tokens.size()) + "]");
    types.push_back(kUnusedToken);
  }
  const std::vector<std::string> merges = {tokens['a'] + " " + tokens['b']};  // loaders refuse an empty list
  writer.set_text("tokenizer.ggml.model", "gpt2");
  writer.set_text("tokenizer.ggml.pre", "qwen2");
  writer.set_texts("tokenizer.ggml.tokens", tokens);
  writer.set_ints("tokenizer.ggml.token_type", types);
  writer.set_texts("tokenizer.ggml.merges", merges);
  writer.set_uint("tokenizer.ggml.bos_token_id", first_control);
  writer.set_uint("tokenizer.ggml.padding_token_id", first_control);
  writer.set_uint("tokenizer.ggml.eos_token_id", first_control + 2);
  writer.set_bool("tokenizer.ggml.add_bos_token", false);
}

}  // namespace

std::string gguf_name(std::string_view tensor) {
  for (const auto& [ours, theirs] : kModelNames)
    if (tensor == ours) return std::string(theirs);
  if (tensor.substr(0, kLayers.size()) == kLayers) {
    const std::string_view rest = tensor.substr(kLayers.size());
    const size_t dot = std::min(rest.find('.'), rest.size());
    for (const auto& [ours, theirs] : kLayerNames)
      if (rest.substr(std::min(dot + 1, rest.size())) == ours) return str("blk.", rest.substr(0, dot), ".", theirs);
  }
  throw Error(ErrorCode::kBadData, str("GGUF has no name for the tensor ", tensor, " of a Qwen3"));
}

void set_model_keys(GgufWriter& writer, const ModelConfig& config, GgmlType type) {
  const auto number = [](int64_t value) { return static_cast<uint32_t>(value); };
  writer.set_text("general.architecture", "qwen3");
  writer.set_text("general.name", "synthetic");
  writer.set_uint("general.file_type", file_type(type));
  writer.set_uint("general.quantization_version", 2);
  writer.set_uint("qwen3.block_count", number(config.num_hidden_layers));
  writer.set_uint("qwen3.context_length", number(config.context_length()));
  writer.set_uint("qwen3.embedding_length", number(config.hidden_size));
  writer.set_uint("qwen3.feed_forward_length", number(config.intermediate_size));
  writer.set_uint("qwen3.attention.head_count", number(config.num_attention_heads));
  writer.set_uint("qwen3.attention.head_count_kv", number(config.num_key_value_heads));
  writer.set_uint("qwen3.attention.key_length", number(config.head_dim));
  writer.set_uint("qwen3.attention.value_length", number(config.head_dim));
  writer.set_float("qwen3.rope.freq_base", static_cast<float>(config.rope_theta));
  writer.set_float("qwen3.attention.layer_norm_rms_epsilon", static_cast<float>(config.rms_norm_eps));
  set_vocabulary(writer, config.vocab_size);
}

}  // namespace qwen
