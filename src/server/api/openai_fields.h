// The fields that chat and text completions share, and how they refuse what this server does not do.
#pragma once

#include <initializer_list>
#include <utility>
#include <vector>

#include "base/token_id.h"
#include "server/api/field_reader.h"

namespace qwen {

inline constexpr int kMaxChoices = 8;  // n
inline constexpr size_t kMaxModelBytes = 256;

// The member, where it is neither null, false, 0, "" nor empty: somebody relies on it. Null otherwise.
const JsonValue* given(const JsonValue& body, std::string_view name);

// Errors: UnsupportedError for the first of `names` that is given.
void refuse_given(const JsonValue& body, std::initializer_list<const char*> names);

int read_choices(FieldReader& fields);  // n, 1…kMaxChoices; best_of may repeat it

struct StreamFields {
  bool stream = false;
  bool include_usage = false;
};
StreamFields read_stream_fields(FieldReader& fields);

std::vector<std::pair<TokenId, float>> read_logit_bias(FieldReader& fields);

}  // namespace qwen
