// The settings model.quantization.* put beside what a folder holds.
#pragma once

#include <string>

#include "model/model_config.h"
#include "model/weight_formats.h"
#include "server/service_config.h"

namespace qwen {

struct ChosenFormat {
  std::string name;  // none, int8, int4, int4-g64, or the folder's own: what limits the weights' precision
  WeightFormats formats;
};

// A folder of plain weights is quantized at load, or not with none. GPTQ and AWQ folders keep their own integers,
// whatever is asked; with anything but none, int8 is what becomes of the weights beside them: the embedding, the head
// and what the kernels cannot multiply as it is stored. FP8 weights are floats: int8 and int4 quantize them as plain
// ones, int8 losing nothing that shows beside FP8. A folder of `quantize` is served as it is. head_format decides about
// embedding and head alone. Errors: wrong_setting for gptq with a folder that holds other weights, and for a format
// that a flag or variable asks for (not a file or the default) and that a folder of `quantize` does not have.
ChosenFormat choose_format(const ServiceConfig& config, const ModelConfig& model);

}  // namespace qwen
