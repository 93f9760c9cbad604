// config.json of a folder with quantized weights: the original's, with a quantization_config.
#pragma once

#include <filesystem>
#include <string>

#include "model/weight_formats.h"

namespace qwen {

// As ModelConfig::parse reads it back. Errors: as ModelConfig::load, of the original.
std::string integer_config_json(const std::filesystem::path& model_dir, const WeightFormats& formats);

}  // namespace qwen
