#include "server/cache/memory_store.h"

#include <utility>

namespace qwen {
namespace {

// Of the nodes of list and map, the key's text and what the allocator adds.
constexpr size_t kEntryOverhead = 320;

}  // namespace

size_t MemoryStore::cost(const Entry& entry) { return entry.answer->bytes() + kEntryOverhead; }

CachedAnswerPtr MemoryStore::get(const std::string& key, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  const Entries::iterator entry = found->second;
  if (entry->expires <= now) {
    erase(entry);
    return nullptr;
  }
  entries_.splice(entries_.begin(), entries_, entry);
  return entry->answer;
}

void MemoryStore::put(const std::string& key, CachedAnswerPtr answer, Clock::time_point now) {
  Entries fresh;  // allocated outside the lock
  fresh.push_back({key, std::move(answer), now + limits_.ttl});
  const size_t bytes = cost(fresh.front());
  if (bytes > limits_.bytes || limits_.entries == 0) return;
  const std::lock_guard lock(mutex_);
  if (const auto found = by_key_.find(key); found != by_key_.end()) erase(found->second);
  while (!entries_.empty() && (stats_.bytes + bytes > limits_.bytes || stats_.entries >= limits_.entries)) {
    if (entries_.back().expires > now) ++stats_.evictions;
    erase(std::prev(entries_.end()));
  }
  by_key_.emplace(fresh.front().key, fresh.begin());
  entries_.splice(entries_.begin(), fresh);
  stats_.bytes += bytes;
  ++stats_.entries;
}

void MemoryStore::erase(Entries::iterator entry) {
  stats_.bytes -= cost(*entry);
  --stats_.entries;
  by_key_.erase(entry->key);
  entries_.erase(entry);
}

MemoryStore::Stats MemoryStore::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

}  // namespace qwen
