#include "text/added_tokens.h"

#include <algorithm>

namespace qwen {
namespace {

unsigned char first_byte(const AddedToken& token) { return static_cast<unsigned char>(token.text[0]); }

}  // namespace

AddedTokenMatcher::AddedTokenMatcher(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  std::sort(tokens_.begin(), tokens_.end(), [](const AddedToken& a, const AddedToken& b) {
    if (first_byte(a) != first_byte(b)) return first_byte(a) < first_byte(b);
    if (a.text.size() != b.text.size()) return a.text.size() > b.text.size();
    return a.text < b.text;
  });
  for (size_t i = 0; i < tokens_.size(); ++i) {
    Bucket& bucket = buckets_[first_byte(tokens_[i])];
    if (bucket.begin == bucket.end) {
      bucket.begin = i;
      first_bytes_ += tokens_[i].text[0];
    }
    bucket.end = i + 1;
  }
}

std::optional<AddedTokenMatcher::Match> AddedTokenMatcher::find(std::string_view text, size_t from) const {
  for (size_t at = text.find_first_of(first_bytes_, from); at != std::string_view::npos;
       at = text.find_first_of(first_bytes_, at + 1)) {
    const Bucket bucket = buckets_[static_cast<unsigned char>(text[at])];
    for (size_t i = bucket.begin; i < bucket.end; ++i) {
      const std::string& token = tokens_[i].text;
      if (text.compare(at, token.size(), token) == 0) return Match{at, token.size(), tokens_[i].id};
    }
  }
  return std::nullopt;
}

std::optional<TokenId> AddedTokenMatcher::id_of(std::string_view text) const {
  const std::optional<Match> match = find(text, 0);
  if (!match || match->begin != 0 || match->length != text.size()) return std::nullopt;
  return match->id;
}

}  // namespace qwen
