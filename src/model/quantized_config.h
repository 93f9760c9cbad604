// config.json of a folder with quantized weights: the original's, with a quantization_config.
#pragma once

#include <filesystem>
#include <string>

#include "model/weight_formats.h"
#include "quant/gptq_quantize.h"

namespace qwen {

// As ModelConfig::parse reads it back. Errors: as ModelConfig::load, of the original.
std::string integer_config_json(const std::filesystem::path& model_dir, const WeightFormats& formats);

std::string gptq_config_json(const std::filesystem::path& model_dir, const GptqOptions& options);

}  // namespace qwen
