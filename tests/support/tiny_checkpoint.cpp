// Weights come from weights/synthetic_recipe, without outliers unless asked for.
#include "support/tiny_checkpoint.h"

#include "base/error.h"
#include "weights/safetensors_writer.h"
#include "weights/synthetic_recipe.h"

namespace qwen {

std::vector<NamedShape> tiny_tensors(const TinyModel& m) {
  const int64_t q = m.num_attention_heads * m.head_dim, kv = m.num_key_value_heads * m.head_dim;
  std::vector<NamedShape> tensors = {{"model.embed_tokens.weight", {m.vocab_size, m.hidden_size}}};
  for (int64_t layer = 0; layer < m.num_hidden_layers; ++layer) {
    const auto add = [&](const char* name, Shape shape) {
      tensors.push_back({str("model.layers.", layer, ".", name), shape});
    };
    add("input_layernorm.weight", {m.hidden_size});
    add("self_attn.q_proj.weight", {q, m.hidden_size});
    add("self_attn.k_proj.weight", {kv, m.hidden_size});
    add("self_attn.v_proj.weight", {kv, m.hidden_size});
    add("self_attn.o_proj.weight", {m.hidden_size, q});
    if (m.attention_bias) {
      add("self_attn.q_proj.bias", {q});
      add("self_attn.k_proj.bias", {kv});
      add("self_attn.v_proj.bias", {kv});
      add("self_attn.o_proj.bias", {m.hidden_size});
    }
    add("self_attn.q_norm.weight", {m.head_dim});
    add("self_attn.k_norm.weight", {m.head_dim});
    add("post_attention_layernorm.weight", {m.hidden_size});
    add("mlp.gate_proj.weight", {m.intermediate_size, m.hidden_size});
    add("mlp.up_proj.weight", {m.intermediate_size, m.hidden_size});
    add("mlp.down_proj.weight", {m.hidden_size, m.intermediate_size});
  }
  tensors.push_back({"model.norm.weight", {m.hidden_size}});
  if (!m.tie_word_embeddings) tensors.push_back({"lm_head.weight", {m.vocab_size, m.hidden_size}});
  return tensors;
}

std::string tiny_config_json(const TinyModel& m) {
  return str(
      R"({"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_act": "silu", "rms_norm_eps": 1e-06,
  "rope_theta": 1000000, "max_position_embeddings": 40960, "hidden_size": )",
      m.hidden_size, R"(, "intermediate_size": )", m.intermediate_size, R"(, "num_hidden_layers": )",
      m.num_hidden_layers, R"(, "num_attention_heads": )", m.num_attention_heads, R"(, "num_key_value_heads": )",
      m.num_key_value_heads, R"(, "head_dim": )", m.head_dim, R"(, "vocab_size": )", m.vocab_size,
      R"(, "tie_word_embeddings": )", m.tie_word_embeddings ? "true" : "false", R"(, "attention_bias": )",
      m.attention_bias ? "true" : "false", R"(, "torch_dtype": ")", dtype_name(m.dtype), R"(", "bos_token_id": )",
      m.vocab_size - 2, R"(, "eos_token_id": )", m.vocab_size - 1, m.extra_config.empty() ? "" : ", ", m.extra_config,
      "}\n");
}

TinyCheckpoint::TinyCheckpoint(const TinyModel& model) {
  scratch_.write("config.json", tiny_config_json(model));
  scratch_.write("generation_config.json", str(R"({"do_sample": false, "eos_token_id": [)", model.vocab_size - 1, ", ",
                                               model.vocab_size - 2, "]}\n"));
  const SyntheticStyle style{.seed = model.seed,
                             .hidden_size = model.hidden_size,
                             .num_hidden_layers = model.num_hidden_layers,
                             .tie_word_embeddings = model.tie_word_embeddings,
                             .outliers = model.outliers};
  SafetensorsWriter writer(folder() / "model.safetensors");
  const std::vector<NamedShape> tensors = tiny_tensors(model);
  for (const NamedShape& tensor : tensors) writer.declare(tensor.name, model.dtype, tensor.shape);
  writer.begin();
  for (const NamedShape& tensor : tensors) {
    const auto elements = static_cast<uint64_t>(tensor.shape.num_elements());
    std::vector<std::byte> bytes(elements * dtype_size(model.dtype));
    fill_synthetic(synthetic_tensor(tensor.name, tensor.shape, style), 0, elements, model.dtype, bytes.data());
    writer.write(bytes);
  }
  writer.finish();
}

}  // namespace qwen
