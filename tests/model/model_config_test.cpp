// Published configurations and their variants load; values out of range are refused with field, value and range.
#include "model/model_config.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "support/expect_error.h"
#include "support/scratch_folder.h"

namespace qwen {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

// Qwen3-4B-Thinking-2507 as published.
const char* kPublished = R"({
  "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "attention_bias": false, "attention_dropout": 0.0,
  "bos_token_id": 151643, "eos_token_id": 151645, "head_dim": 128, "hidden_act": "silu", "hidden_size": 2560,
  "intermediate_size": 9728, "num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 8,
  "max_position_embeddings": 262144, "max_window_layers": 36, "rms_norm_eps": 1e-06, "rope_theta": 5000000,
  "rope_scaling": null, "initializer_range": 0.02, "sliding_window": null, "use_sliding_window": false,
  "tie_word_embeddings": true, "torch_dtype": "bfloat16", "vocab_size": 151936, "use_cache": true,
  "transformers_version": "4.51.0"})";

ModelConfig parse(const Json& json) { return ModelConfig::parse(json.dump(), "dir/config.json"); }
// The published configuration with some members changed; a member of "remove" is taken out.
Json with(const Json& changes) {
  Json json = Json::parse(kPublished);
  for (const auto& [key, value] : changes.items()) {
    if (value == "remove")
      json.erase(key);
    else
      json[key] = value;
  }
  return json;
}

TEST(ModelConfig, Published) {
  const ModelConfig c = ModelConfig::parse(kPublished, "config.json");
  EXPECT_EQ(c.architecture, "Qwen3ForCausalLM");
  EXPECT_EQ(c.hidden_size, 2560);
  EXPECT_EQ(c.intermediate_size, 9728);
  EXPECT_EQ(c.num_hidden_layers, 36);
  EXPECT_EQ(c.num_attention_heads, 32);
  EXPECT_EQ(c.num_key_value_heads, 8);
  EXPECT_EQ(c.head_dim, 128);
  EXPECT_EQ(c.q_size(), 4096);
  EXPECT_EQ(c.kv_size(), 1024);
  EXPECT_EQ(c.vocab_size, 151936);
  EXPECT_EQ(c.max_position_embeddings, 262144);
  EXPECT_EQ(c.context_length(), 262144);
  EXPECT_EQ(c.rms_norm_eps, 1e-6);
  EXPECT_EQ(c.rope_theta, 5e6);
  EXPECT_EQ(c.rope_scaling.type, RopeScaling::Type::kNone);
  EXPECT_TRUE(c.tie_word_embeddings);
  EXPECT_FALSE(c.attention_bias);
  EXPECT_EQ(c.dtype, DType::kBF16);
  EXPECT_EQ(c.bos_token_id, 151643);
  EXPECT_EQ(c.pad_token_id, std::nullopt);
  EXPECT_EQ(c.eos_token_ids, std::vector<TokenId>{151645});
  EXPECT_EQ(c.quantization.method, "");
  EXPECT_FALSE(c.demo);
}

TEST(ModelConfig, VariantsOfNewerTools) {
  const ModelConfig c =
      parse(with({{"torch_dtype", "remove"},
                  {"dtype", "float16"},
                  {"rope_theta", "remove"},
                  {"rope_scaling", "remove"},
                  {"rope_parameters", {{"rope_theta", 7000000}, {"rope_type", "default"}}},
                  {"layer_types", std::vector<std::string>(36, "full_attention")},
                  {"eos_token_id", {151645, 151643}},
                  {"pad_token_id", 151643},
                  {"bos_token_id", nullptr},
                  {"quantization_config", {{"quant_method", "gptq"}, {"bits", 4}, {"group_size", 64}}},
                  {"qwen_thinking_demo", true}}));
  EXPECT_EQ(c.dtype, DType::kF16);
  EXPECT_EQ(c.rope_theta, 7e6);
  EXPECT_EQ(c.eos_token_ids, (std::vector<TokenId>{151645, 151643}));
  EXPECT_EQ(c.pad_token_id, 151643);
  EXPECT_EQ(c.bos_token_id, std::nullopt);
  EXPECT_EQ(c.quantization.method, "gptq");
  EXPECT_EQ(c.quantization.format,
            (QuantFormat{.kind = QuantFormat::Kind::kGptq, .bits = 4, .group_size = 64, .zero_offset = 1}));
  EXPECT_TRUE(c.demo);
}

TEST(ModelConfig, WhatMayBeMissing) {
  const ModelConfig c = parse(with({{"head_dim", "remove"},
                                    {"num_key_value_heads", nullptr},
                                    {"rms_norm_eps", "remove"},
                                    {"tie_word_embeddings", "remove"},
                                    {"architectures", "remove"},
                                    {"eos_token_id", nullptr},
                                    {"torch_dtype", "remove"},
                                    {"hidden_act", "remove"},
                                    {"attention_bias", "remove"}}));
  EXPECT_EQ(c.head_dim, 128) << "Qwen3Config's default, not hidden_size / num_attention_heads = 80";
  EXPECT_EQ(c.num_key_value_heads, 32);
  EXPECT_EQ(c.rms_norm_eps, 1e-6);
  EXPECT_FALSE(c.tie_word_embeddings);
  EXPECT_TRUE(c.eos_token_ids.empty());
}

TEST(ModelConfig, Yarn) {
  for (const char* type_key : {"rope_type", "type"}) {
    const ModelConfig c = parse(
        with({{"max_position_embeddings", 40960},
              {"rope_scaling", {{type_key, "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 32768}}}}));
    EXPECT_EQ(c.rope_scaling.type, RopeScaling::Type::kYarn);
    EXPECT_EQ(c.rope_scaling.factor, 4.0);
    EXPECT_EQ(c.rope_scaling.original_max_position_embeddings, 32768);
    EXPECT_EQ(c.rope_scaling.beta_fast, 32.0);
    EXPECT_EQ(c.rope_scaling.beta_slow, 1.0);
    EXPECT_TRUE(c.rope_scaling.truncate);
    EXPECT_NEAR(c.rope_scaling.attention_factor, 1.138629, 1e-6);
    EXPECT_EQ(c.rope_theta, 5e6);
    EXPECT_EQ(c.context_length(), 131072);
  }
  const ModelConfig all = parse(with({{"rope_theta", "remove"},
                                      {"max_position_embeddings", 131072},
                                      {"rope_parameters",
                                       {{"rope_type", "yarn"},
                                        {"rope_theta", 1e6},
                                        {"factor", nullptr},
                                        {"original_max_position_embeddings", 32768},
                                        {"beta_fast", 16},
                                        {"beta_slow", 2},
                                        {"truncate", false},
                                        {"mscale", 1.0},
                                        {"mscale_all_dim", 0.5}}}}));
  EXPECT_EQ(all.rope_theta, 1e6);
  EXPECT_EQ(all.rope_scaling.factor, 4.0) << "null: from the two lengths";
  EXPECT_EQ(all.rope_scaling.beta_fast, 16.0);
  EXPECT_FALSE(all.rope_scaling.truncate);
  EXPECT_NEAR(all.rope_scaling.attention_factor, (0.1 * std::log(4) + 1) / (0.05 * std::log(4) + 1), 1e-12);
  const ModelConfig given =
      parse(with({{"rope_scaling", {{"type", "yarn"}, {"factor", 2}, {"attention_factor", 1.5}}}}));
  EXPECT_EQ(given.rope_scaling.attention_factor, 1.5);
}

TEST(ModelConfig, RefusesValuesOutOfRange) {
  const auto refused = [](const Json& changes, const char* words) {
    return fails_with([&] { parse(with(changes)); }, ErrorCode::kBadData, words);
  };
  EXPECT_TRUE(refused({{"hidden_size", 2147483648}},
                      "dir/config.json: hidden_size is 2147483648; allowed is a whole number from 1 to 65536"));
  EXPECT_TRUE(refused({{"hidden_act", "gelu"}}, "dir/config.json: hidden_act is \"gelu\"; allowed is \"silu\""));
  EXPECT_TRUE(refused({{"hidden_size", 0}}, "hidden_size is 0;"));
  EXPECT_TRUE(refused({{"hidden_size", -1}}, "hidden_size"));
  EXPECT_TRUE(refused({{"hidden_size", 2560.5}}, "hidden_size"));
  EXPECT_TRUE(refused({{"hidden_size", "2560"}}, "hidden_size"));
  EXPECT_TRUE(refused({{"hidden_size", "remove"}}, "hidden_size is missing"));
  EXPECT_TRUE(refused({{"hidden_size", 18446744073709551615u}}, "hidden_size"));
  EXPECT_TRUE(refused({{"hidden_size", {1, 2}}}, "hidden_size"));
  EXPECT_TRUE(refused({{"intermediate_size", int64_t{1} << 40}}, "intermediate_size"));
  EXPECT_TRUE(refused({{"num_hidden_layers", 1000000000}}, "num_hidden_layers"));
  EXPECT_TRUE(refused({{"num_attention_heads", 0}}, "num_attention_heads"));
  EXPECT_TRUE(refused({{"num_key_value_heads", 0}}, "num_key_value_heads"));
  EXPECT_TRUE(refused({{"num_key_value_heads", 5}}, "a divisor of num_attention_heads, 32"));
  EXPECT_TRUE(refused({{"num_key_value_heads", 64}}, "num_key_value_heads"));
  EXPECT_TRUE(refused({{"head_dim", 0}}, "head_dim"));
  EXPECT_TRUE(refused({{"head_dim", 127}}, "even"));
  EXPECT_TRUE(refused({{"vocab_size", 0}}, "vocab_size"));
  EXPECT_TRUE(refused({{"max_position_embeddings", int64_t{1} << 62}}, "max_position_embeddings"));
  EXPECT_TRUE(refused({{"rms_norm_eps", 0}}, "rms_norm_eps"));
  EXPECT_TRUE(refused({{"rms_norm_eps", -1e-6}}, "rms_norm_eps"));
  EXPECT_TRUE(refused({{"rope_theta", -1}}, "rope_theta"));
  EXPECT_TRUE(refused({{"rope_theta", 0}}, "rope_theta"));
  EXPECT_TRUE(refused({{"rope_theta", 1e30}}, "rope_theta"));
  EXPECT_TRUE(refused({{"rope_theta", "remove"}}, "rope_theta is missing"));
  EXPECT_TRUE(refused({{"eos_token_id", 151936}}, "eos_token_id"));
  EXPECT_TRUE(refused({{"eos_token_id", {151645, -1}}}, "eos_token_id"));
  EXPECT_TRUE(refused({{"eos_token_id", "stop"}}, "eos_token_id"));
  EXPECT_TRUE(refused({{"bos_token_id", 4294967296}}, "bos_token_id"));
  EXPECT_TRUE(refused({{"tie_word_embeddings", 1}}, "true or false"));
  EXPECT_TRUE(refused({{"torch_dtype", "float64"}}, "torch_dtype"));
  EXPECT_TRUE(refused({{"dtype", "int8"}}, "dtype"));
  EXPECT_TRUE(refused({{"quantization_config", {{"bits", 4}}}}, "quantization_config.quant_method is missing"));
}

TEST(ModelConfig, QuantizedFormats) {
  using Kind = QuantFormat::Kind;
  const auto format = [](const Json& quantization) {
    return parse(with({{"quantization_config", quantization}})).quantization.format;
  };
  EXPECT_EQ(format({{"quant_method", "gptq"}, {"bits", 8}, {"group_size", -1}, {"checkpoint_format", "gptq_v2"}}),
            (QuantFormat{.kind = Kind::kGptq, .bits = 8, .group_size = 1 << 20, .zero_offset = 0}));
  EXPECT_EQ(format({{"quant_method", "gptq"}, {"bits", 4}, {"group_size", 128}, {"format", "gptq_v2"}}).zero_offset, 0);
  EXPECT_EQ(format({{"quant_method", "awq"}, {"bits", 4}, {"group_size", 128}, {"version", "gemm"}}),
            (QuantFormat{.kind = Kind::kAwq, .bits = 4, .group_size = 128}));
  EXPECT_EQ(format({{"quant_method", "awq"}, {"w_bit", 4}, {"q_group_size", 64}}).group_size, 64);
  EXPECT_EQ(format({{"quant_method", "fp8"}, {"fmt", "e4m3"}, {"weight_block_size", {128, 128}}}).kind,
            Kind::kFp8Block);
}

TEST(ModelConfig, RefusesQuantizedFormatsItCannotRead) {
  const auto refused = [](Json quantization, const char* words) {
    return fails_with([&] { parse(with({{"quantization_config", quantization}})); }, ErrorCode::kBadData, words);
  };
  const Json gptq = {{"quant_method", "gptq"}, {"bits", 4}, {"group_size", 128}};
  const auto changed = [&](const char* key, const Json& value) {
    Json copy = gptq;
    copy[key] = value;
    return copy;
  };
  EXPECT_TRUE(refused(changed("quant_method", "bitsandbytes"), "take the unquantized model"));
  EXPECT_TRUE(refused(changed("bits", 3), "4 or 8"));
  EXPECT_TRUE(refused(changed("bits", "4"), "quantization_config.bits"));
  EXPECT_TRUE(refused(changed("group_size", 0), "quantization_config.group_size"));
  EXPECT_TRUE(refused(changed("group_size", -2), "quantization_config.group_size"));
  EXPECT_TRUE(refused(changed("checkpoint_format", "marlin"), "gptq_v2"));
  EXPECT_TRUE(refused(changed("is_marlin_format", true), "is_marlin_format"));
  EXPECT_TRUE(refused(changed("dynamic", {{"-:.*mlp.*", Json::object()}}), "one format for all layers"));
  EXPECT_TRUE(refused({{"quant_method", "awq"}, {"bits", 8}, {"group_size", 128}}, "quantization_config.bits"));
  EXPECT_TRUE(refused({{"quant_method", "awq"}, {"bits", 4}, {"group_size", 128}, {"version", "marlin"}}, "version"));
  EXPECT_TRUE(refused({{"quant_method", "fp8"}, {"fmt", "e5m2"}}, "fmt"));
  EXPECT_TRUE(refused({{"quant_method", "fp8"}, {"weight_block_size", {64, 128}}}, "weight_block_size"));
}

TEST(ModelConfig, RefusesOtherModelsAndArithmetic) {
  const auto refused = [](const Json& changes, const char* words) {
    return fails_with([&] { parse(with(changes)); }, ErrorCode::kBadData, words);
  };
  EXPECT_TRUE(refused({{"architectures", {"LlamaForCausalLM"}}}, "LlamaForCausalLM"));
  EXPECT_TRUE(
      refused({{"architectures", {"Qwen3MoeForCausalLM"}}, {"model_type", "qwen3_moe"}}, "Qwen3MoeForCausalLM"));
  EXPECT_TRUE(refused({{"architectures", Json::array()}}, "architectures"));
  EXPECT_TRUE(refused({{"architectures", "remove"}, {"model_type", "llama"}}, "architectures"));
  EXPECT_TRUE(refused({{"model_type", "qwen2"}}, "model_type"));
  EXPECT_TRUE(refused({{"auto_map", {{"AutoModelForCausalLM", "evil.Model"}}}}, "never does"));
  EXPECT_TRUE(refused({{"hidden_act", "gelu"}}, "hidden_act"));
  EXPECT_TRUE(refused({{"layer_types", std::vector<std::string>(36, "sliding_attention")}}, "layer_types"));
  EXPECT_TRUE(refused({{"layer_types", {"full_attention"}}}, "each of the 36 layers"));
  EXPECT_TRUE(refused({{"use_sliding_window", true}, {"sliding_window", 4096}, {"max_window_layers", 10}},
                      "use_sliding_window"));
  EXPECT_NO_THROW(parse(with({{"use_sliding_window", true}, {"sliding_window", 4096}, {"max_window_layers", 36}})));
  EXPECT_NO_THROW(parse(with({{"use_sliding_window", false}, {"sliding_window", 4096}, {"max_window_layers", 10}})));
  for (const char* type : {"linear", "dynamic", "longrope", "llama3"})
    EXPECT_TRUE(refused({{"rope_scaling", {{"rope_type", type}, {"factor", 2.0}}}}, type));
  EXPECT_TRUE(refused({{"rope_scaling", {{"type", "yarn"}, {"factor", 0.5}}}}, "rope_scaling.factor"));
  EXPECT_TRUE(refused({{"rope_scaling", {{"type", "yarn"}, {"factor", 4}, {"beta_fast", 1}, {"beta_slow", 32}}}},
                      "rope_scaling.beta_slow"));
  // What is not given is held against what is.
  EXPECT_TRUE(
      refused({{"rope_scaling", {{"type", "yarn"}, {"factor", 4}, {"beta_fast", 0.5}}}}, "rope_scaling.beta_fast"));
  EXPECT_TRUE(refused({{"max_position_embeddings", 40960},
                       {"rope_scaling", {{"type", "yarn"}, {"original_max_position_embeddings", 8}}}},
                      "rope_scaling.factor"));
  EXPECT_TRUE(refused({{"rope_scaling", {{"type", "yarn"}, {"original_max_position_embeddings", 0}}}},
                      "original_max_position_embeddings"));
  EXPECT_TRUE(refused({{"rope_scaling", "yarn"}}, "rope_scaling"));
  EXPECT_TRUE(
      refused({{"rope_parameters", {{"rope_theta", 1e6}, {"partial_rotary_factor", 0.5}}}}, "partial_rotary_factor"));
}

TEST(ModelConfig, RefusesBrokenJson) {
  const auto refused = [](const std::string& text, const char* words) {
    return fails_with([&] { ModelConfig::parse(text, "config.json"); }, ErrorCode::kBadData, words);
  };
  const std::string good = kPublished;
  EXPECT_TRUE(refused("", "not valid JSON"));
  EXPECT_TRUE(refused(good.substr(0, good.size() / 2), "not valid JSON: it ends in the middle"));
  EXPECT_TRUE(refused("[]", "not a JSON object"));
  EXPECT_TRUE(refused("{\"rope_theta\": NaN}", "no NaN"));
  EXPECT_TRUE(refused("{\"rope_theta\": 1e999}", "no computer number"));
  EXPECT_TRUE(refused("{\"a\": " + std::string(200000, '['), "nested deeper"));
  EXPECT_TRUE(refused("{\"architectures\": [\"\xff\"]}", "not valid JSON"));
  EXPECT_TRUE(
      refused("{\"architectures\": [\"a\\n\\u0000\\u001b[31m" + std::string(5000, 'x') + "\"]}", "architectures"));
}

TEST(ModelConfig, Folders) {
  const ScratchFolder scratch;
  EXPECT_TRUE(
      fails_with([&] { ModelConfig::load(scratch.path() / "none"); }, ErrorCode::kMissingFile, "no such folder"));
  scratch.write("other", "");
  EXPECT_TRUE(fails_with([&] { ModelConfig::load(scratch.path()); }, ErrorCode::kMissingFile,
                         "config.json: no such file; point --model"));
  scratch.write("config.json", kPublished + std::string(2 << 20, ' '));
  EXPECT_TRUE(fails_with([&] { ModelConfig::load(scratch.path()); }, ErrorCode::kBadData, "more than the 1048576"));
  scratch.write("config.json", kPublished);
  EXPECT_EQ(ModelConfig::load(scratch.path()).hidden_size, 2560);
}

class Generation : public testing::Test {
 protected:
  GenerationConfig parse_text(const std::string& text) const {
    return GenerationConfig::parse(text, "generation_config.json", model_);
  }
  testing::AssertionResult refused(const std::string& text, const char* words) const {
    return fails_with([&] { parse_text(text); }, ErrorCode::kBadData, words);
  }
  ModelConfig model_ = ModelConfig::parse(kPublished, "config.json");
};

TEST_F(Generation, Published) {
  const GenerationConfig c = parse_text(R"({"bos_token_id": 151643, "do_sample": true, "eos_token_id": [151645, 151643],
      "pad_token_id": 151643, "temperature": 0.7, "top_k": 30, "top_p": 0.8, "min_p": 0.1, "repetition_penalty": 1.05})");
  EXPECT_TRUE(c.do_sample);
  EXPECT_EQ(c.temperature, 0.7);
  EXPECT_EQ(c.top_k, 30);
  EXPECT_EQ(c.top_p, 0.8);
  EXPECT_EQ(c.min_p, 0.1);
  EXPECT_EQ(c.repetition_penalty, 1.05);
  EXPECT_EQ(c.eos_token_ids, (std::vector<TokenId>{151645, 151643}));
}

TEST_F(Generation, DefaultsAreQwen3s) {
  const ScratchFolder scratch;
  for (const GenerationConfig& c : {parse_text("{}"), GenerationConfig::load(scratch.path(), model_)}) {
    EXPECT_TRUE(c.do_sample);
    EXPECT_EQ(c.temperature, 0.6);
    EXPECT_EQ(c.top_k, 20);
    EXPECT_EQ(c.top_p, 0.95);
    EXPECT_EQ(c.eos_token_ids, std::vector<TokenId>{151645}) << "config.json's";
  }
  EXPECT_EQ(parse_text(R"({"top_k": -1})").top_k, 0);
  EXPECT_EQ(parse_text(R"({"eos_token_id": 7})").eos_token_ids, std::vector<TokenId>{7});
}

TEST_F(Generation, RefusesValuesOutOfRange) {
  EXPECT_TRUE(refused(R"({"eos_token_id": [151645, 999999]})", "eos_token_id"));
  EXPECT_TRUE(refused(R"({"temperature": NaN})", "no NaN"));
  EXPECT_TRUE(refused(R"({"temperature": -0.1})", "temperature"));
  EXPECT_TRUE(refused(R"({"temperature": 2.5})", "a number from 0 to 2"));
  EXPECT_TRUE(refused(R"({"top_p": 0})", "top_p"));
  EXPECT_TRUE(refused(R"({"top_p": 1.01})", "top_p"));
  EXPECT_TRUE(refused(R"({"top_k": -2})", "top_k"));
  EXPECT_TRUE(refused(R"({"top_k": 0.5})", "top_k"));
  EXPECT_TRUE(refused(R"({"min_p": 1.5})", "min_p"));
  EXPECT_TRUE(refused(R"({"repetition_penalty": 0})", "repetition_penalty"));
  EXPECT_TRUE(refused(R"({"do_sample": "yes"})", "true or false"));
  EXPECT_TRUE(refused("nonsense", "not valid JSON"));
}

}  // namespace
}  // namespace qwen
