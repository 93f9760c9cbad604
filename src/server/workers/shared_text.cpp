#include "server/workers/shared_text.h"

#include <algorithm>

namespace qwen {
namespace {

constexpr int kReadTries = 1000;

// Bytes that another process may be writing at the same time: who reads finds out afterwards, and reads again.
void copy_out(char* to, char* from, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) to[i] = std::atomic_ref<char>(from[i]).load(std::memory_order_relaxed);
}
void copy_in(char* to, std::string_view from) {
  for (size_t i = 0; i < from.size(); ++i) std::atomic_ref<char>(to[i]).store(from[i], std::memory_order_relaxed);
}

}  // namespace

bool SharedText::write(std::initializer_list<std::string_view> parts) {
  size_t size = 0;
  for (const std::string_view part : parts) size += part.size();
  if (size > kMostBytes) return false;
  const uint64_t next = version_.load(std::memory_order_relaxed) + 1;
  Buffer& buffer = buffers_[next % 2];
  // Readers of what was here before must see that it has gone: the version before this one is whole by now.
  std::atomic_thread_fence(std::memory_order_release);
  char* to = buffer.text;
  for (const std::string_view part : parts) {
    copy_in(to, part);
    to += part.size();
  }
  buffer.size.store(size, std::memory_order_relaxed);
  version_.store(next, std::memory_order_release);
  return true;
}

std::optional<SharedText::Version> SharedText::read() const {
  Version result;
  for (int i = 0; i < kReadTries; ++i) {
    result.number = version();
    if (result.number == 0) break;
    Buffer& buffer = buffers_[result.number % 2];
    result.text.resize(std::min(buffer.size.load(std::memory_order_relaxed), kMostBytes));
    copy_out(result.text.data(), buffer.text, result.text.size());
    std::atomic_thread_fence(std::memory_order_acquire);
    if (version_.load(std::memory_order_relaxed) == result.number) return result;
  }
  return std::nullopt;
}

}  // namespace qwen
