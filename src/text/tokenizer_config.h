// tokenizer_config.json: settings of the tokenizer's exporter. Added tokens and the chat template are read from it,
// each by whoever needs them.
#pragma once

#include <cstddef>
#include <string_view>

#include "text/json_value.h"

namespace qwen {

inline constexpr size_t kMaxTokenizerConfigBytes = size_t{16} << 20;

// Errors: kBadData naming `source`; also for more values than 4096 added tokens need.
JsonValue parse_tokenizer_config(std::string_view json, std::string_view source);

}  // namespace qwen
