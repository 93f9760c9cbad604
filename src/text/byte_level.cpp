#include "text/byte_level.h"

#include <array>

#include "base/utf8.h"

namespace qwen {
namespace {

// Printable Latin-1 characters spell themselves; the 68 other bytes are numbered from U+0100 in their order.
constexpr bool spells_itself(int byte) {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
}

constexpr int kSpellings = 0x100 + 68;

constexpr std::array<short, kSpellings> make_table() {
  std::array<short, kSpellings> table{};
  for (short& entry : table) entry = -1;
  int next = 0x100;
  for (int byte = 0; byte < 256; ++byte)
    table[static_cast<size_t>(spells_itself(byte) ? byte : next++)] = static_cast<short>(byte);
  return table;
}
constexpr std::array<short, kSpellings> kByteOf = make_table();

constexpr std::array<short, 256> make_spellings() {
  std::array<short, 256> spellings{};
  for (int c = 0; c < kSpellings; ++c)
    if (const short byte = kByteOf[static_cast<size_t>(c)]; byte >= 0)
      spellings[static_cast<size_t>(byte)] = static_cast<short>(c);
  return spellings;
}
constexpr std::array<short, 256> kSpellingOf = make_spellings();

}  // namespace

bool append_byte_level(std::string_view spelling, std::string& out) {
  while (!spelling.empty()) {
    const Utf8Char c = utf8_decode(spelling);
    if (!c.valid || c.code_point >= kSpellings || kByteOf[c.code_point] < 0) return false;
    out += static_cast<char>(kByteOf[c.code_point]);
    spelling.remove_prefix(static_cast<size_t>(c.length));
  }
  return true;
}

std::string byte_level_spelling(std::string_view bytes) {
  std::string spelling;
  for (const char byte : bytes)
    utf8_append(spelling, static_cast<uint32_t>(kSpellingOf[static_cast<unsigned char>(byte)]));
  return spelling;
}

}  // namespace qwen
