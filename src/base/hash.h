// Digests: xxh64 for fingerprints and keys, SHA-256 where a published digest is compared.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace qwen {

uint64_t xxh64(std::string_view bytes, uint64_t seed = 0);
using Sha256 = std::array<unsigned char, 32>;
Sha256 sha256(std::string_view bytes);
std::string sha256_hex(std::string_view bytes);
std::string sha1_hex(std::string_view bytes);  // as git names its objects; no protection against an attacker

}  // namespace qwen
