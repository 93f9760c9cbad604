// What config.json and generation_config.json say about a dense Qwen3, with the names they use there.
// Invariant: a loaded config is complete and in range (limits in model_config.cpp), so later code multiplies its fields
// without checking for overflow and divides by them without checking for zero. Errors: kMissingFile without
// config.json, kBadData naming the field, its value and the allowed range.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "backend/attention.h"
#include "base/dtype.h"
#include "base/token_id.h"
#include "quant/format.h"

namespace qwen {

// `rope_scaling` (transformers 4) or `rope_parameters` (transformers 5). Linear, dynamic and other types are refused.
struct RopeScaling {
  enum class Type : uint8_t { kNone, kYarn };
  Type type = Type::kNone;
  double factor = 1.0;
  int64_t original_max_position_embeddings = 0;
  double beta_fast = 32.0;
  double beta_slow = 1.0;
  bool truncate = true;           // the correction range is rounded outwards to whole dimensions
  double attention_factor = 1.0;  // multiplies cos and sin; 0.1·ln(factor) + 1 where the file gives none
};

// `quantization_config`, or quantize_config.json beside it: how the linear layers' weights are spelled. Which layers
// are, each tells by its tensors.
struct QuantizationConfig {
  std::string method;  // quant_method: "gptq", "awq", "fp8", "qwen_thinking" (our own int8, int4); "" = plain floats
  QuantFormat format;
  QuantFormat head;  // of the embedding and the head; they are plain in all but our own
};

struct ModelConfig {
  std::string architecture;  // "Qwen3ForCausalLM"
  std::string model_type;    // "qwen3"
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_hidden_layers = 0;
  int64_t num_attention_heads = 0;
  int64_t num_key_value_heads = 0;  // divides num_attention_heads
  int64_t head_dim = 0;             // even; num_attention_heads · head_dim need not equal hidden_size
  int64_t vocab_size = 0;           // rows of the embedding; the tokenizer may know fewer ids
  int64_t max_position_embeddings = 0;
  double rms_norm_eps = 0;
  double rope_theta = 0;
  RopeScaling rope_scaling;
  bool tie_word_embeddings = false;
  bool attention_bias = false;  // biases on q, k, v and o
  DType dtype = DType::kBF16;   // as declared; each tensor's own dtype decides
  std::optional<TokenId> bos_token_id, pad_token_id;
  std::vector<TokenId> eos_token_ids;
  QuantizationConfig quantization;
  bool demo = false;  // "qwen_thinking_demo": the model that comes with the service

  static ModelConfig load(const std::filesystem::path& model_dir);
  // `source` is named in errors.
  static ModelConfig parse(const std::string& json_text, const std::string& source);

  int64_t q_size() const { return num_attention_heads * head_dim; }
  int64_t kv_size() const { return num_key_value_heads * head_dim; }
  HeadShape heads() const {
    return {static_cast<int>(num_attention_heads), static_cast<int>(num_key_value_heads), static_cast<int>(head_dim)};
  }
  // Positions the model was made for: max_position_embeddings, or what YaRN stretches the original length to where that
  // is more.
  int64_t context_length() const;
};

// generation_config.json. Where the file or a key is missing, Qwen3's recommended sampling stands in.
struct GenerationConfig {
  bool do_sample = true;
  double temperature = 0.6;
  int64_t top_k = 20;  // 0 = off
  double top_p = 0.95;
  double min_p = 0.0;
  double repetition_penalty = 1.0;
  std::vector<TokenId> eos_token_ids;  // any of them ends a generation; config.json's where this file has none

  static GenerationConfig load(const std::filesystem::path& model_dir, const ModelConfig& config);
  static GenerationConfig parse(const std::string& json_text, const std::string& source, const ModelConfig& config);
};

}  // namespace qwen
