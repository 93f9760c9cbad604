// The last border before the engine: what would make a step misbehave is refused here, whoever asked above.
#pragma once

#include "engine/engine.h"

namespace qwen {

// Errors: kInvalidValue naming the field, kContextLengthExceeded.
void check_request(const GenerationRequest& request, int max_model_len, int vocab_size);

}  // namespace qwen
