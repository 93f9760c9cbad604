#include "commands/weight_format.h"

#include "base/error.h"
#include "quant/integer_rows.h"
#include "server/config.h"

namespace qwen {
ChosenFormat choose_format(const ServiceConfig& config, const ModelConfig& model) {
  const QuantizationConfig& quantization = model.quantization;
  const std::string stored = stored_format_name(quantization);
  const std::string& asked = config.quantization_format;
  ChosenFormat chosen{stored, {}};
  if (is_integer_kind(quantization.format)) chosen.formats = {quantization.format, quantization.head};
  if (asked != "none" && asked != stored) {
    if (stored != "none" || asked == "gptq")
      throw wrong_setting(config, "model.quantization.format",
                          str("is ", asked, " but ", config.model_path, " holds ",
                              stored == "none" ? "plain weights: use none, int8, int4 or int4-g64"
                                               : stored + ": use none, which serves a folder as it is"));
    chosen = {asked, weight_formats(asked)};
  }
  if (config.head_format == "int8") chosen.formats.head = weight_formats("int8").head;
  if (config.head_format == "none") {
    if (quantization.head.kind != QuantFormat::Kind::kNone)
      throw wrong_setting(
          config, "model.quantization.head_format",
          str("is none but ", config.model_path,
              " holds an int8 embedding: use auto, or make the folder anew with quantize --head-format none"));
    chosen.formats.head = {};
  }
  return chosen;
}

}  // namespace qwen
