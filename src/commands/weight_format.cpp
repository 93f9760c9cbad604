#include "commands/weight_format.h"

#include "base/error.h"
#include "server/config.h"

namespace qwen {

ChosenFormat choose_format(const ServiceConfig& config, const ModelConfig& model) {
  const std::string& asked = config.quantization_format;
  const std::string stored = model.quantization.method.empty() ? "none" : model.quantization.method;
  if (asked == "none" || asked == stored) return {stored, {}};
  if (stored == "none" && asked != "gptq") return {asked, weight_formats(asked)};
  throw wrong_setting(config, "model.quantization.format",
                      str("is ", asked, " but ", config.model_path, " holds ",
                          stored == "none" ? "plain weights: use none, int8, int4 or int4-g64"
                                           : stored + ": use none, which serves a folder as it is"));
}

}  // namespace qwen
