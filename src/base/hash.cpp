// See hash.h.
#include "base/hash.h"

#include <openssl/sha.h>
#include <xxhash.h>

#include "base/hex.h"

namespace qwen {

uint64_t xxh64(std::string_view bytes, uint64_t seed) { return XXH64(bytes.data(), bytes.size(), seed); }

Sha256 sha256(std::string_view bytes) {
  Sha256 digest;
  static_assert(std::tuple_size_v<Sha256> == SHA256_DIGEST_LENGTH);
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest.data());
  return digest;
}

std::string sha256_hex(std::string_view bytes) {
  std::string text;
  for (const unsigned char byte : sha256(bytes)) text += to_hex(byte, 2);
  return text;
}

std::string sha1_hex(std::string_view bytes) {
  unsigned char digest[SHA_DIGEST_LENGTH];
  SHA1(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest);
  std::string text;
  for (const unsigned char byte : digest) text += to_hex(byte, 2);
  return text;
}

}  // namespace qwen
