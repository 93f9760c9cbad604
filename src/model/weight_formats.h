// In which formats a model's weights are kept.
#pragma once

#include <string>
#include <string_view>

#include "model/model_config.h"
#include "quant/format.h"

namespace qwen {

struct WeightFormats {
  QuantFormat linear;  // of the layers' linear modules; kNone: as the checkpoint has them
  QuantFormat head;    // of the embedding and the head
};

// "none", "int8", "int4" (groups of 128 inputs) or "int4-g64" (of 64). The embedding and the head are int8 in all but
// the first. Errors: kUsage.
WeightFormats weight_formats(std::string_view name);

// The name among these of the layers' format; "none" for any other.
std::string weight_format_name(const QuantFormat& linear);

// What a folder holds: one of these names, or its quant_method.
std::string stored_format_name(const QuantizationConfig& quantization);

}  // namespace qwen
