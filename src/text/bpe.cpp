#include "text/bpe.h"

#include <algorithm>
#include <bit>
#include <functional>

namespace qwen {
namespace {

// Measured: below this length scanning for the lowest rank is faster than the heap.
constexpr size_t kShortPiece = 48;

}  // namespace

BpeMerges::BpeMerges(const std::array<TokenId, 256>& byte_ids, size_t expected)
    : byte_ids_(byte_ids), slots_(std::bit_ceil(std::max<size_t>(16, expected + expected / 2))) {
  merged_.reserve(expected);
}

size_t BpeMerges::slot_of(TokenId left, TokenId right) const {
  const uint64_t key = static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  const size_t mask = slots_.size() - 1;
  size_t at = static_cast<size_t>((key * 0x9e3779b97f4a7c15u) >> 32) & mask;
  while (slots_[at].left != -1 && (slots_[at].left != left || slots_[at].right != right)) at = (at + 1) & mask;
  return at;
}

void BpeMerges::grow() {
  std::vector<Slot> old(slots_.size() * 2);
  old.swap(slots_);
  for (const Slot& slot : old)
    if (slot.left != -1) slots_[slot_of(slot.left, slot.right)] = slot;
}

bool BpeMerges::add(TokenId left, TokenId right, TokenId merged) {
  if ((merged_.size() + 1) * 4 > slots_.size() * 3) grow();
  Slot& slot = slots_[slot_of(left, right)];
  if (slot.left != -1) return false;
  slot = {left, right, static_cast<uint32_t>(merged_.size())};
  merged_.push_back(merged);
  return true;
}

void BpeMerges::encode(std::string_view piece, std::vector<TokenId>& out) const {
  if (piece.size() <= kShortPiece)
    encode_short(piece, out);
  else
    encode_long(piece, out);
}

void BpeMerges::encode_short(std::string_view piece, std::vector<TokenId>& out) const {
  TokenId ids[kShortPiece];
  uint32_t ranks[kShortPiece];  // ranks[i]: of the pair (i, i + 1)
  size_t n = piece.size();
  for (size_t i = 0; i < n; ++i) ids[i] = byte_ids_[static_cast<unsigned char>(piece[i])];
  for (size_t i = 0; i + 1 < n; ++i) ranks[i] = rank(ids[i], ids[i + 1]);
  while (n > 1) {
    const size_t best = static_cast<size_t>(std::min_element(ranks, ranks + n - 1) - ranks);
    if (ranks[best] == kNoRank) break;
    ids[best] = merged_[ranks[best]];
    std::copy(ids + best + 2, ids + n, ids + best + 1);
    if (best + 2 < n) std::copy(ranks + best + 2, ranks + n - 1, ranks + best + 1);
    --n;
    if (best > 0) ranks[best - 1] = rank(ids[best - 1], ids[best]);
    if (best + 1 < n) ranks[best] = rank(ids[best], ids[best + 1]);
  }
  out.insert(out.end(), ids, ids + n);
}

void BpeMerges::encode_long(std::string_view piece, std::vector<TokenId>& out) const {
  // A symbol stays at the index of its first byte; a merge unlinks its right half. A heap entry is rank << 32 | index
  // and is stale when the pair that begins there has another rank by now.
  struct Symbol {
    TokenId id;
    uint32_t previous, next;  // indices; kNone past either end
    uint32_t rank;            // of the pair that begins here
  };
  constexpr uint32_t kNone = 0xffffffff;
  const size_t n = piece.size();
  std::vector<Symbol> symbols(n);
  std::vector<uint64_t> heap;
  const auto entry = [](uint32_t pair_rank, size_t index) { return static_cast<uint64_t>(pair_rank) << 32 | index; };

  for (size_t i = 0; i < n; ++i) {
    const auto index = static_cast<uint32_t>(i);
    symbols[i] = {byte_ids_[static_cast<unsigned char>(piece[i])], i == 0 ? kNone : index - 1,
                  i + 1 == n ? kNone : index + 1, kNoRank};
  }
  for (size_t i = 0; i + 1 < n; ++i) {
    symbols[i].rank = rank(symbols[i].id, symbols[i + 1].id);
    if (symbols[i].rank != kNoRank) heap.push_back(entry(symbols[i].rank, i));
  }
  const auto later = std::greater<uint64_t>();
  std::make_heap(heap.begin(), heap.end(), later);

  const auto renew = [&](uint32_t index) {
    Symbol& symbol = symbols[index];
    symbol.rank = symbol.next == kNone ? kNoRank : rank(symbol.id, symbols[symbol.next].id);
    if (symbol.rank == kNoRank) return;
    heap.push_back(entry(symbol.rank, index));
    std::push_heap(heap.begin(), heap.end(), later);
  };

  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), later);
    const uint64_t top = heap.back();
    heap.pop_back();
    const auto index = static_cast<uint32_t>(top);
    Symbol& left = symbols[index];
    if (left.rank != static_cast<uint32_t>(top >> 32)) continue;
    Symbol& right = symbols[left.next];
    left.id = merged_[left.rank];
    left.next = right.next;
    right.rank = kNoRank;
    if (left.next != kNone) symbols[left.next].previous = index;
    renew(index);
    if (left.previous != kNone) renew(left.previous);
  }
  for (uint32_t i = 0; i != kNone; i = symbols[i].next) out.push_back(symbols[i].id);
}

}  // namespace qwen
