// Tokens that are cut out of the text before anything else looks at it ("<|im_start|>", "<think>"): at each place the
// longest.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/token_id.h"

namespace qwen {

struct AddedToken {
  std::string text;  // not empty
  TokenId id = -1;
  bool special = false;
};

class AddedTokenMatcher {
 public:
  struct Match {
    size_t begin = 0, length = 0;
    TokenId id = -1;
  };

  AddedTokenMatcher() = default;
  explicit AddedTokenMatcher(std::vector<AddedToken> tokens);

  // The first match at or after `from`.
  std::optional<Match> find(std::string_view text, size_t from) const;
  std::optional<TokenId> id_of(std::string_view text) const;

 private:
  std::vector<AddedToken> tokens_;  // by first byte, the longest first
  struct Bucket {
    size_t begin = 0, end = 0;
  };
  std::array<Bucket, 256> buckets_{};  // the tokens that begin with a byte
  std::string first_bytes_;
};

}  // namespace qwen
