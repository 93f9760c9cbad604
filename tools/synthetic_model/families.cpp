// The one table of the family's sizes.
#include "synthetic_model/families.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/mapped_file.h"
#include "base/quote.h"

namespace qwen {
namespace {

using Json = nlohmann::ordered_json;

struct Family {
  const char* name;
  int hidden_size, intermediate_size, num_hidden_layers, num_attention_heads, num_key_value_heads;
  bool tie_word_embeddings;
  int max_position_embeddings;
  int rope_theta;
  int vocab_size;
};

// Sizes as published with the models; all have head_dim 128. 4b is the 2507 refresh with its longer context; tiny has
// the true head geometry, and matrices that every quantization group divides.
constexpr std::array<Family, 7> kFamilies = {{
    {"tiny", 256, 512, 2, 4, 2, true, 40960, 1000000, 4096},
    {"0.6b", 1024, 3072, 28, 16, 8, true, 40960, 1000000, 151936},
    {"1.7b", 2048, 6144, 28, 16, 8, true, 40960, 1000000, 151936},
    {"4b", 2560, 9728, 36, 32, 8, true, 262144, 5000000, 151936},
    {"8b", 4096, 12288, 36, 32, 8, false, 40960, 1000000, 151936},
    {"14b", 5120, 17408, 40, 40, 8, false, 40960, 1000000, 151936},
    {"32b", 5120, 25600, 64, 64, 8, false, 40960, 1000000, 151936},
}};

const Family* find_family(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (name.starts_with("qwen3-")) name.erase(0, 6);
  const auto it =
      std::find_if(kFamilies.begin(), kFamilies.end(), [&](const Family& family) { return name == family.name; });
  return it == kFamilies.end() ? nullptr : &*it;
}

Json family_config(const Family& family) {
  // The control tokens of the published vocabulary; the last two ids of a cut one.
  const bool full_vocabulary = family.vocab_size == 151936;
  const int end_of_text = full_vocabulary ? 151643 : family.vocab_size - 2;
  const int im_end = full_vocabulary ? 151645 : family.vocab_size - 1;
  return {{"architectures", {"Qwen3ForCausalLM"}},
          {"model_type", "qwen3"},
          {"attention_bias", false},
          {"attention_dropout", 0.0},
          {"bos_token_id", end_of_text},
          {"eos_token_id", im_end},
          {"head_dim", 128},
          {"hidden_act", "silu"},
          {"hidden_size", family.hidden_size},
          {"initializer_range", 0.02},
          {"intermediate_size", family.intermediate_size},
          {"max_position_embeddings", family.max_position_embeddings},
          {"max_window_layers", family.num_hidden_layers},
          {"num_attention_heads", family.num_attention_heads},
          {"num_hidden_layers", family.num_hidden_layers},
          {"num_key_value_heads", family.num_key_value_heads},
          {"rms_norm_eps", 1e-6},
          {"rope_scaling", nullptr},
          {"rope_theta", family.rope_theta},
          {"sliding_window", nullptr},
          {"tie_word_embeddings", family.tie_word_embeddings},
          {"torch_dtype", "bfloat16"},
          {"use_cache", true},
          {"use_sliding_window", false},
          {"vocab_size", family.vocab_size}};
}

Json file_config(const std::string& model) {
  namespace fs = std::filesystem;
  const fs::path path = fs::is_directory(model) ? fs::path(model) / "config.json" : fs::path(model);
  if (!fs::exists(path))
    throw Error(ErrorCode::kUsage, str("--model ", quote(model), " is neither a file nor one of ", family_names()));
  Json config = Json::parse(read_text_file(path, 1 << 20), nullptr, /*allow_exceptions=*/false);
  if (!config.is_object()) throw Error(ErrorCode::kBadData, path.string() + ": is not a JSON object");
  if (config.contains("quantization_config"))
    throw Error(ErrorCode::kBadData,
                path.string() + ": quantization_config is set; synthetic weights are plain floats");
  return config;
}

}  // namespace

std::string family_names() {
  std::string names;
  for (const Family& family : kFamilies) names += str(names.empty() ? "" : ", ", family.name);
  return names;
}

std::string config_json(const std::string& model, const ConfigChanges& changes) {
  const Family* family = find_family(model);
  Json config = family != nullptr ? family_config(*family) : file_config(model);
  if (changes.dtype) {
    config.erase("dtype");
    config["torch_dtype"] = dtype_name(*changes.dtype);
  }
  if (changes.num_hidden_layers) {
    config["num_hidden_layers"] = config["max_window_layers"] = *changes.num_hidden_layers;
    config.erase("layer_types");
  }
  return config.dump(2) + "\n";
}

}  // namespace qwen
