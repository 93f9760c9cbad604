// config.json and generation_config.json (the second part). What is accepted is finite and in the ranges that weight
// loading, memory sizing and the rotary table rely on, and written out again it is read as the same.
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/checked_math.h"
#include "fuzz.h"
#include "model/model_config.h"
#include "model/rope_table.h"

namespace qwen::fuzz {
namespace {

using Json = nlohmann::json;

Json json_of(const ModelConfig& config) {
  Json json = {{"architectures", {config.architecture}},
               {"model_type", config.model_type},
               {"hidden_size", config.hidden_size},
               {"intermediate_size", config.intermediate_size},
               {"num_hidden_layers", config.num_hidden_layers},
               {"num_attention_heads", config.num_attention_heads},
               {"num_key_value_heads", config.num_key_value_heads},
               {"head_dim", config.head_dim},
               {"vocab_size", config.vocab_size},
               {"max_position_embeddings", config.max_position_embeddings},
               {"rms_norm_eps", config.rms_norm_eps},
               {"rope_theta", config.rope_theta},
               {"tie_word_embeddings", config.tie_word_embeddings},
               {"attention_bias", config.attention_bias},
               {"torch_dtype", dtype_name(config.dtype)},
               {"eos_token_id", config.eos_token_ids},
               {"qwen_thinking_demo", config.demo}};
  if (config.bos_token_id) json["bos_token_id"] = *config.bos_token_id;
  if (config.pad_token_id) json["pad_token_id"] = *config.pad_token_id;
  if (const QuantFormat& format = config.quantization.format; !config.quantization.method.empty())
    json["quantization_config"] = {{"quant_method", config.quantization.method},
                                   {"bits", format.bits},
                                   {"group_size", format.group_size},
                                   {"checkpoint_format", format.zero_offset == 1 ? "gptq" : "gptq_v2"}};
  const RopeScaling& rope = config.rope_scaling;
  if (rope.type == RopeScaling::Type::kYarn)
    json["rope_scaling"] = {{"rope_type", "yarn"},
                            {"factor", rope.factor},
                            {"original_max_position_embeddings", rope.original_max_position_embeddings},
                            {"beta_fast", rope.beta_fast},
                            {"beta_slow", rope.beta_slow},
                            {"truncate", rope.truncate},
                            {"attention_factor", rope.attention_factor}};
  return json;
}

void check_ids(const std::vector<TokenId>& ids, int64_t vocab_size) {
  for (const TokenId id : ids) FUZZ_CHECK(id >= 0 && id < vocab_size);
}

void check_quantization(const QuantizationConfig& quantization) {
  const QuantFormat& format = quantization.format;
  FUZZ_CHECK(quantization.method.empty() == (format.kind == QuantFormat::Kind::kNone));
  if (format.kind != QuantFormat::Kind::kGptq && format.kind != QuantFormat::Kind::kAwq) return;
  FUZZ_CHECK(format.bits == 4 || format.bits == 8);
  FUZZ_CHECK(format.group_size >= 1 && format.group_size <= 1 << 20);
}

void check_config(const ModelConfig& config) {
  for (const int64_t size :
       {config.hidden_size, config.intermediate_size, config.num_hidden_layers, config.num_attention_heads,
        config.num_key_value_heads, config.head_dim, config.vocab_size, config.max_position_embeddings})
    FUZZ_CHECK(size >= 1 && size <= 1 << 24);
  FUZZ_CHECK(config.num_attention_heads % config.num_key_value_heads == 0 && config.head_dim % 2 == 0);
  // The largest things that are sized by them: all weights of a layer, the cache of one sequence.
  const auto product = [](std::initializer_list<int64_t> factors) {
    std::optional<uint64_t> result = sizeof(float);
    for (const int64_t factor : factors) result = checked_mul(result.value(), static_cast<uint64_t>(factor));
    FUZZ_CHECK(*result <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()));
  };
  product({config.vocab_size, config.hidden_size});
  product({config.num_hidden_layers, config.hidden_size, config.intermediate_size, 3});
  product({config.num_hidden_layers, config.hidden_size, config.q_size() + config.kv_size()});
  product({config.context_length(), config.num_hidden_layers, config.kv_size(), 2});
  FUZZ_CHECK(config.context_length() >= config.max_position_embeddings && config.context_length() <= 1 << 24);
  FUZZ_CHECK(config.rms_norm_eps > 0 && std::isfinite(config.rms_norm_eps));
  FUZZ_CHECK(static_cast<float>(config.rms_norm_eps) > 0);
  for (const double frequency : rope_inverse_frequencies(config)) FUZZ_CHECK(std::isfinite(frequency) && frequency > 0);
  FUZZ_CHECK(rope_inverse_frequencies(config).size() == static_cast<size_t>(config.head_dim / 2));
  check_ids(config.eos_token_ids, config.vocab_size);
  check_quantization(config.quantization);
  const Json json = json_of(config);
  FUZZ_CHECK(json_of(ModelConfig::parse(json.dump(-1, ' ', false, Json::error_handler_t::replace), "again")) == json);
}

void check_generation(std::string_view text, const ModelConfig& model) {
  GenerationConfig config;
  if (!accepts(ErrorCode::kBadData,
               [&] { config = GenerationConfig::parse(std::string(text), "generation_config.json", model); }))
    return;
  FUZZ_CHECK(config.temperature >= 0 && config.temperature <= 2 && config.top_p > 0 && config.top_p <= 1);
  FUZZ_CHECK(static_cast<float>(config.top_p) > 0);
  FUZZ_CHECK(config.top_k >= 0 && config.top_k <= std::numeric_limits<int>::max());
  FUZZ_CHECK(config.min_p >= 0 && config.min_p <= 1 && config.repetition_penalty >= 0.01 &&
             config.repetition_penalty <= 10);
  check_ids(config.eos_token_ids, model.vocab_size);
}

}  // namespace
}  // namespace qwen::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace qwen::fuzz;
  const auto sections = parts(text_of(data, size), 2);
  qwen::ModelConfig config;
  config.vocab_size = 1000;
  if (accepts(qwen::ErrorCode::kBadData,
              [&] { config = qwen::ModelConfig::parse(std::string(sections[0]), "config.json"); }))
    check_config(config);
  check_generation(sections[1], config);
  return 0;
}
