// Memory that requests may hold together: reserved before the bytes arrive, given back by dropping the reservation.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

namespace qwen {

class ByteBudget {
 public:
  // Null where `limit` would be passed. The budget must outlive the reservation.
  std::shared_ptr<void> reserve(size_t bytes, size_t limit) {
    if (used_.fetch_add(bytes) + bytes > limit) {
      used_ -= bytes;
      return nullptr;
    }
    return std::shared_ptr<void>(this, [bytes](void* self) { static_cast<ByteBudget*>(self)->used_ -= bytes; });
  }
  size_t used() const { return used_.load(); }

 private:
  std::atomic<size_t> used_{0};
};

}  // namespace qwen
