// Byte-pair merging of one piece: the pair of neighbours with the lowest rank is joined, leftmost first, until no pair
// has a rank. Short pieces scan; long ones use a heap over a linked list, O(n log n), so that a word of a megabyte is
// no attack.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/token_id.h"

namespace qwen {

class BpeMerges {
 public:
  static constexpr uint32_t kNoRank = 0xffffffff;

  // `byte_ids`: the token of each single byte. `expected`: number of merges to make room for.
  BpeMerges(const std::array<TokenId, 256>& byte_ids, size_t expected);

  // Appends the merge of the next rank. False, and nothing changed, where the pair has one already.
  bool add(TokenId left, TokenId right, TokenId merged);

  size_t size() const { return merged_.size(); }

  // Appends the ids of `piece` to `out`. Const calls may run on several threads.
  void encode(std::string_view piece, std::vector<TokenId>& out) const;

 private:
  struct Slot {
    TokenId left = -1, right = -1;
    uint32_t rank = kNoRank;
  };

  size_t slot_of(TokenId left, TokenId right) const;  // where the pair is, or the free slot where it belongs
  uint32_t rank(TokenId left, TokenId right) const { return slots_[slot_of(left, right)].rank; }
  void grow();
  void encode_short(std::string_view piece, std::vector<TokenId>& out) const;
  void encode_long(std::string_view piece, std::vector<TokenId>& out) const;

  std::array<TokenId, 256> byte_ids_;
  std::vector<TokenId> merged_;  // by rank
  std::vector<Slot> slots_;      // open addressing, a power of two, never full
};

}  // namespace qwen
