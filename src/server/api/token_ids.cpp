#include "server/api/token_ids.h"

#include <limits>

#include "base/error.h"
#include "server/api/field_reader.h"

namespace qwen {

std::vector<TokenId> read_token_ids(const JsonValue& list, const std::string& param) {
  if (!list.is_array()) throw_invalid(param, "be a list of token ids");
  std::vector<TokenId> ids;
  ids.reserve(list.items.size());
  for (size_t i = 0; i < list.items.size(); ++i) {
    const auto id = as_integer(list.items[i]);
    if (!id || *id < 0 || *id > std::numeric_limits<TokenId>::max())
      throw_invalid(str(param, "[", i, "]"), "be a token id, a whole number from 0");
    ids.push_back(static_cast<TokenId>(*id));
  }
  return ids;
}

void check_token_ids(const std::vector<TokenId>& ids, int vocab_size, const std::string& param) {
  for (size_t i = 0; i < ids.size(); ++i)
    if (ids[i] < 0 || ids[i] >= vocab_size)
      throw_invalid(str(param, "[", i, "]"), str("be a token id below ", vocab_size));
}

}  // namespace qwen
