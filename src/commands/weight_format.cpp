#include "commands/weight_format.h"

#include "base/error.h"
#include "quant/stored_groups.h"
#include "server/config.h"

namespace qwen {

ChosenFormat choose_format(const ServiceConfig& config, const ModelConfig& model) {
  const std::string& asked = config.quantization_format;
  const std::string& stored = model.quantization.method;
  const auto refuse = [&](const std::string& why) {
    return wrong_setting(config, "model.quantization.format",
                         str("is ", asked, " but ", config.model_path, " holds ", why));
  };
  if (stored.empty()) {
    if (asked == "gptq")
      throw refuse(
          "plain weights: make a GPTQ folder of them with `qwen-thinking quantize`, or use none, int8, int4 or "
          "int4-g64");
    return {asked, weight_formats(asked)};
  }
  if (asked == "gptq" && stored != "gptq")
    throw refuse(stored + " weights, which none, int8, int4 and int4-g64 serve as they are");
  if (asked == "none") return {stored, {}};
  if (has_stored_groups(model.quantization.format)) return {stored, weight_formats("int8")};
  return {asked == "int8" ? stored : asked, weight_formats(asked)};
}

}  // namespace qwen
