// Token ids → text as they come. No piece ever holds half of a character: bytes that more tokens could still complete
// are held back. Invariant: all pieces and the final flush() joined equal Tokenizer::decode of all ids.
#pragma once

#include <string>

#include "base/token_id.h"

namespace qwen {

class Tokenizer;

class Detokenizer {
 public:
  // `tokenizer` must outlive this object.
  explicit Detokenizer(const Tokenizer& tokenizer, bool skip_special = true)
      : tokenizer_(tokenizer), skip_special_(skip_special) {}

  std::string push(TokenId id);  // the text that this token completes, often empty for one byte of a character
  std::string flush();           // what is still held back, as U+FFFD; the object is then as new

 private:
  const Tokenizer& tokenizer_;
  bool skip_special_;
  std::string pending_;  // at most 3 bytes between calls: the beginning of a character
};

}  // namespace qwen
