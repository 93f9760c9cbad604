#include "server/access/key_digest.h"

#include <algorithm>

namespace qwen {
namespace {

constexpr size_t kHexDigits = 2 * std::tuple_size_v<KeyDigest>;

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool hashed(std::string_view key) { return key.substr(0, kHashedKeyPrefix.size()) == kHashedKeyPrefix; }

}  // namespace

bool well_formed_key(std::string_view key) {
  if (!hashed(key)) return true;
  const std::string_view digits = key.substr(kHashedKeyPrefix.size());
  return digits.size() == kHexDigits &&
         std::all_of(digits.begin(), digits.end(), [](char c) { return hex_value(c) >= 0; });
}

KeyDigest digest_of_configured(std::string_view key) {
  if (!hashed(key) || !well_formed_key(key)) return sha256(key);
  const std::string_view digits = key.substr(kHashedKeyPrefix.size());
  KeyDigest digest;
  for (size_t i = 0; i < digest.size(); ++i)
    digest[i] = static_cast<unsigned char>(hex_value(digits[2 * i]) * 16 + hex_value(digits[2 * i + 1]));
  return digest;
}

size_t find_digest(std::span<const KeyDigest> list, const KeyDigest& digest) {
  // Every byte of every entry is looked at, and what was found is kept by masks: no branch and no address depends on
  // it. `volatile` keeps the compiler from ending a loop early.
  volatile size_t found = 0;  // place + 1
  for (size_t place = 0; place < list.size(); ++place) {
    volatile unsigned difference = 0;
    for (size_t i = 0; i < digest.size(); ++i) difference = difference | (list[place][i] ^ digest[i]);
    const size_t equal = (static_cast<size_t>(difference) - 1) >> (8 * sizeof(size_t) - 1);  // 1 where there is none
    found = found | ((place + 1) & (0 - equal));
  }
  return found - 1;  // kNoDigest where nothing was found
}

}  // namespace qwen
