// In which formats a model's weights are kept.
#pragma once

#include <string_view>

#include "quant/format.h"

namespace qwen {

struct WeightFormats {
  QuantFormat linear;  // of the layers' linear modules; kNone: as the checkpoint has them
  QuantFormat head;    // of the embedding and the head
};

// "none", "int8" or "int4". The embedding and the head are int8 in both of the latter. Errors: kUsage.
WeightFormats weight_formats(std::string_view name);

}  // namespace qwen
