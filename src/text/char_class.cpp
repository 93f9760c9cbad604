#include "text/char_class.h"

#include <algorithm>
#include <array>

namespace qwen {
namespace {

template <typename RangeType>
const RangeType* find_range(std::span<const RangeType> ranges, char32_t c) {
  const auto next = std::upper_bound(ranges.begin(), ranges.end(), c,
                                     [](char32_t value, const RangeType& range) { return value < range.first; });
  if (next == ranges.begin()) return nullptr;
  const RangeType& range = *(next - 1);
  return c <= range.last ? &range : nullptr;
}

constexpr std::array<CharClass, 128> make_ascii() {
  std::array<CharClass, 128> table{};
  for (char32_t c = 'a'; c <= 'z'; ++c) table[c] = table[c - 32] = CharClass::kLetter;
  for (char32_t c = '0'; c <= '9'; ++c) table[c] = CharClass::kNumber;
  for (char32_t c = 9; c <= 13; ++c) table[c] = CharClass::kSpace;
  table[U' '] = CharClass::kSpace;
  return table;
}
constexpr std::array<CharClass, 128> kAscii = make_ascii();

constexpr char32_t kFirstNfcRelevant = 0x300;
constexpr bool is_common_han(char32_t c) { return c >= 0x4e00 && c <= 0x9fff; }

}  // namespace

CharClass char_class(char32_t c) {
  if (c < 128) return kAscii[c];
  if (is_common_han(c)) return CharClass::kLetter;
  const unicode::ClassRange* range = find_range(unicode::kClassRanges, c);
  return range == nullptr ? CharClass::kOther : range->kind;
}

bool nfc_may_change(char32_t c) {
  if (c < kFirstNfcRelevant || is_common_han(c)) return false;
  return find_range(unicode::kNfcRanges, c) != nullptr;
}

}  // namespace qwen
