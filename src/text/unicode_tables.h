// Properties of code points, as sorted, disjoint ranges (generated, Unicode 16.0: the version of the reference
// tokenizer). Looked up through char_class.h.
#pragma once

#include <span>

namespace qwen {

enum class CharClass : unsigned char {
  kOther,
  kLetter,
  kNumber,
  kSpace
};  // \p{L}, \p{N}, \s; everything else is kOther

namespace unicode {

struct ClassRange {
  char32_t first, last;
  CharClass kind;
};
struct Range {
  char32_t first, last;
};

extern const std::span<const ClassRange> kClassRanges;
extern const std::span<const Range> kNfcRanges;  // what NFC may change, reorder or join with the character before

}  // namespace unicode
}  // namespace qwen
