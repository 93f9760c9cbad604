// The settings model.quantization.* put beside what a folder holds.
#pragma once

#include <string>

#include "model/model_config.h"
#include "model/weight_formats.h"
#include "server/service_config.h"

namespace qwen {

struct ChosenFormat {
  std::string name;  // none, int8, int4, int4-g64, or the folder's own
  WeightFormats formats;
};

// int8 and int4 quantize a folder of plain weights at load; anything else is served as it is, but for an embedding and
// a head that are asked for in int8. Errors: wrong_setting for a format that neither the folder has nor loading makes.
ChosenFormat choose_format(const ServiceConfig& config, const ModelConfig& model);

}  // namespace qwen
