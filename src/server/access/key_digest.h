// API keys as digests, and the only place where keys are compared. Invariant: how long the comparison takes depends on
// the length of the list alone, not on where or whether a digest agrees.
#pragma once

#include <span>
#include <string_view>

#include "base/hash.h"

namespace qwen {

using KeyDigest = Sha256;

inline constexpr std::string_view kHashedKeyPrefix = "sha256:";

// The digest of a key as it is configured: of its text, or the one that stands behind "sha256:".
KeyDigest digest_of_configured(std::string_view key);
// False where "sha256:" is not followed by 64 hexadecimal digits; true for every other text.
bool well_formed_key(std::string_view key);

inline constexpr size_t kNoDigest = static_cast<size_t>(-1);

// The place of the digest in the list, whose digests differ; kNoDigest where it is not there.
size_t find_digest(std::span<const KeyDigest> list, const KeyDigest& digest);

}  // namespace qwen
