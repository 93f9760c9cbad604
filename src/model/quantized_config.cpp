#include "model/quantized_config.h"

#include <nlohmann/json.hpp>

#include "base/mapped_file.h"
#include "model/model_config.h"

namespace qwen {
namespace {

using Json = nlohmann::ordered_json;

std::string with_quantization(const std::filesystem::path& model_dir, const Json& quantization) {
  ModelConfig::load(model_dir);  // says what is wrong with the file
  constexpr size_t kMaxConfigBytes = 1 << 20;
  Json config = Json::parse(read_text_file(model_dir / "config.json", kMaxConfigBytes));
  config["quantization_config"] = quantization;
  return config.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string integer_config_json(const std::filesystem::path& model_dir, const WeightFormats& formats) {
  const bool plain_head = formats.head.kind == QuantFormat::Kind::kNone;
  return with_quantization(model_dir, {{"quant_method", "qwen_thinking"},
                                       {"bits", formats.linear.bits},
                                       {"group_size", formats.linear.group_size},
                                       {"rotation", "hadamard"},
                                       {"head_bits", plain_head ? 16 : formats.head.bits}});
}

// With keys that other engines ask for: g_idx is in order, so desc_act is false whatever order the inputs were rounded
// in.
std::string gptq_config_json(const std::filesystem::path& model_dir, const GptqOptions& options) {
  return with_quantization(model_dir, {{"quant_method", "gptq"},
                                       {"bits", options.grid.bits},
                                       {"group_size", options.group_size},
                                       {"desc_act", false},
                                       {"sym", options.grid.symmetric},
                                       {"lm_head", false},
                                       {"true_sequential", true},
                                       {"static_groups", options.hessian.act_order},
                                       {"damp_percent", options.hessian.damp_percent},
                                       {"checkpoint_format", gptq_zero_offset(options) == 1 ? "gptq" : "gptq_v2"},
                                       {"pack_dtype", "int32"}});
}

}  // namespace qwen
