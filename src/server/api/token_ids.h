// Token ids as a request gives them: whole numbers that name a token of the vocabulary.
#pragma once

#include <string>
#include <vector>

#include "base/token_id.h"
#include "text/json_value.h"

namespace qwen {

// `param` names the list in errors. Errors: kInvalidValue for anything but a list of whole numbers from 0.
std::vector<TokenId> read_token_ids(const JsonValue& list, const std::string& param);

// Errors: kInvalidValue naming the place of the first id that is not below `vocab_size`.
void check_token_ids(const std::vector<TokenId>& ids, int vocab_size, const std::string& param);

}  // namespace qwen
