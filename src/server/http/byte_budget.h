// Memory that requests may hold together. Each takes its share as its bytes arrive, so a client that announces much and
// sends little holds little; dropping the share gives it back.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

namespace qwen {

class ByteBudget {
 public:
  // What one request holds. The budget must outlive it.
  class Share {
   public:
    explicit Share(ByteBudget& budget) : budget_(budget) {}
    ~Share() { budget_.used_ -= held_; }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

    // False, and nothing changes, where all shares together would pass `limit`. One thread at a time.
    bool grow_to(size_t bytes, size_t limit) {
      if (bytes <= held_) return true;
      const size_t more = bytes - held_;
      if (budget_.used_.fetch_add(more) + more > limit) {
        budget_.used_ -= more;
        return false;
      }
      held_ = bytes;
      return true;
    }

   private:
    ByteBudget& budget_;
    size_t held_ = 0;
  };

  size_t used() const { return used_.load(); }

 private:
  std::atomic<size_t> used_{0};
};

}  // namespace qwen
