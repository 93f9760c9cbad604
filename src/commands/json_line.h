// Reading one line of a --jsonl command. Errors: kInvalidValue saying what is wrong with which member.
#pragma once

#include <string_view>
#include <vector>

#include "base/token_id.h"
#include "text/json_value.h"

namespace qwen {

JsonValue parse_object(std::string_view line);

std::vector<TokenId> ids_member(const JsonValue& ids);  // of a list of non-negative integers, may be empty
bool bool_member(const JsonValue& object, std::string_view key, bool default_value);

}  // namespace qwen
