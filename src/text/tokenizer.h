// Qwen's byte-level BPE: text → token ids and back, id for id what the reference tokenizer gives.
// A Tokenizer is immutable after load: every const call may run on any number of threads at once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/token_id.h"
#include "text/text_segment.h"

namespace qwen {

// How encode() treats text that spells an added token ("<|im_end|>", "<think>", …; special or not).
enum class AddedTokens {
  kRecognise,  // it becomes that token's id
  kAsText,     // it is ordinary text: what a caller typed can never become a control token
};

class Tokenizer {
 public:
  // Reads tokenizer.json, else vocab.json (or vocab.txt, one token a line) + merges.txt + tokenizer_config.json from
  // `model_dir`. Errors: kMissingFile where none is there; kBadData naming file and field for anything corrupt,
  // inconsistent, of another pre-tokenizer than the compiled-in one, or without <|im_start|> and <|im_end|>.
  static Tokenizer load(const std::filesystem::path& model_dir);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // No BOS or EOS is added. Invalid UTF-8 is read as U+FFFD. Time is linear in the text but for a logarithm, whatever
  // the text.
  std::vector<TokenId> encode(std::string_view text, AddedTokens mode = AddedTokens::kRecognise) const;

  // Encodes the segments as one text. Added tokens are recognised within trusted segments only, yet the text between
  // two of them is one run, so for benign text the ids are those of encode() on the joined text.
  std::vector<TokenId> encode(std::span<const TextSegment> segments) const;

  // The same ids; nullopt where they are more than `most`, which is found out without encoding the rest of the text.
  std::optional<std::vector<TokenId>> encode_at_most(std::string_view text, size_t most) const;
  std::optional<std::vector<TokenId>> encode_at_most(std::span<const TextSegment> segments, size_t most) const;

  // The raw bytes of a token (an added token's text); empty for an id without a token. Valid as long as the Tokenizer.
  std::string_view token_bytes(TokenId id) const;
  // The token as the vocabulary spells it: "Ġhello" for " hello", an added token as itself. Unlike text, it never loses
  // a byte.
  std::string token_spelling(TokenId id) const;
  bool is_added(TokenId id) const;
  bool is_special(
      TokenId id) const;  // the added tokens that skip_special drops; <think> and <tool_call> are not among them
  std::optional<TokenId> token_id(std::string_view added_token) const;  // by text, added tokens only
  int vocab_size() const;                                               // highest id + 1

  // The bytes joined; every maximal invalid part becomes U+FFFD.
  std::string decode(std::span<const TokenId> ids, bool skip_special) const;

  // Differs where any token, id, merge or special flag differs; the same on every machine.
  uint64_t fingerprint() const;

 private:
  struct Impl;
  explicit Tokenizer(std::unique_ptr<const Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

}  // namespace qwen
