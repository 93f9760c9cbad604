#include "commands/weight_format.h"

#include "base/error.h"
#include "quant/integer_rows.h"
#include "quant/stored_groups.h"
#include "server/config.h"

namespace qwen {
namespace {

// What the settings make of the layers, and of embedding and head where head_format leaves them alone.
ChosenFormat format_for(const ServiceConfig& config, const QuantizationConfig& quantization) {
  const std::string stored = stored_format_name(quantization);
  const std::string& asked = config.quantization_format;
  const auto refuse = [&](const std::string& why) {
    return wrong_setting(config, "model.quantization.format",
                         str("is ", asked, " but ", config.model_path, " holds ", why));
  };
  if (is_integer_kind(quantization.format)) {
    const auto origin = config.origins.find("model.quantization.format");
    if (origin != config.origins.end() && !origin->second.from_file && asked != "none" && asked != stored)
      throw refuse(stored + ": use none, which serves a folder as it is, or leave it unset");
    return {stored, {quantization.format, quantization.head}};
  }
  if (asked == "none") return {stored, {}};
  if (asked == "gptq" && quantization.method.empty())
    throw refuse(
        "plain weights: make a GPTQ folder of them with `qwen-thinking quantize`, or use none, int8, int4 or int4-g64");
  if (asked == "gptq" && stored != "gptq")
    throw refuse(stored + " weights, which none, int8, int4 and int4-g64 serve as they are");
  if (has_stored_groups(quantization.format)) return {stored, weight_formats("int8")};
  return {asked == "int8" && !quantization.method.empty() ? stored : asked, weight_formats(asked)};
}

}  // namespace

ChosenFormat choose_format(const ServiceConfig& config, const ModelConfig& model) {
  ChosenFormat chosen = format_for(config, model.quantization);
  if (config.head_format == "int8") chosen.formats.head = weight_formats("int8").head;
  if (config.head_format == "none") {
    if (model.quantization.head.kind != QuantFormat::Kind::kNone)
      throw wrong_setting(
          config, "model.quantization.head_format",
          str("is none but ", config.model_path,
              " holds an int8 embedding: use auto, or make the folder anew with quantize --head-format none"));
    chosen.formats.head = {};
  }
  return chosen;
}

}  // namespace qwen
