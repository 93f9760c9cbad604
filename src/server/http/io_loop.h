// One I/O thread with its event loop. Connections are pinned to a loop: everything that a connection does happens on
// that one thread, so connections need no locks. Other threads come in through post() alone.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace boost::asio {
class io_context;
}

namespace qwen {

// What lives on a loop. All calls come from the loop's thread.
class LoopMember {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  virtual ~LoopMember() = default;
  virtual void tick(TimePoint now) = 0;  // every IoLoop::kTickRound: the time to look at deadlines
  virtual void drain() = 0;              // finish what runs, begin nothing new
  virtual void abort() = 0;              // close now
  // Since when it has been waiting for a client to say what it wants; nullopt: it is at work for one.
  virtual std::optional<TimePoint> waiting_since() const { return std::nullopt; }

 private:
  friend class IoLoop;
  size_t place_ = 0;  // in the loop's list
};

class IoLoop {
 public:
  // Each tick visits a part of the members, so that thousands of them cost little and nobody waits for all.
  static constexpr std::chrono::milliseconds kTick{50};
  static constexpr size_t kTickParts = 4;
  static constexpr std::chrono::milliseconds kTickRound = kTick * kTickParts;
  static constexpr std::chrono::milliseconds kPace{5};  // of post_soon()

  IoLoop();
  ~IoLoop();  // stop()
  IoLoop(const IoLoop&) = delete;
  IoLoop& operator=(const IoLoop&) = delete;

  void start();
  // Aborts the members, joins the thread and drops what was still queued. Not from the loop's own thread.
  void stop();

  // Runs `task` on the loop's thread, in order of posting; thread-safe; false (and nothing happens) once stopped.
  bool post(std::function<void()> task);
  // The same up to kPace later, together with all that came meanwhile: one wake-up of the thread for many tasks.
  bool post_soon(std::function<void()> task);
  // At once where this already is the loop's thread.
  bool dispatch(std::function<void()> task);
  bool on_thread() const { return std::this_thread::get_id() == thread_id_.load(std::memory_order_relaxed); }

  // From the loop's thread. A member is kept alive until it is removed.
  void add(std::shared_ptr<LoopMember> member);
  void remove(LoopMember* member);
  void drain();  // any thread: drain() for every member
  // Aborts up to `most` of the members that have been waiting since before `before`, the longest first. From the loop's
  // thread. Returns how many.
  size_t abort_waiting(size_t most, LoopMember::TimePoint before);

  boost::asio::io_context& context() { return *context_; }
  // `task` runs once the thread has ended, before the context goes: for whoever else holds parts of it. To be called
  // before start().
  void at_end(std::function<void()> task) { at_end_.push_back(std::move(task)); }

 private:
  struct Timer;
  void schedule_tick();
  void tick();
  void run_soon();
  void run();
  template <typename Call>
  void for_each_member(Call call);

  std::mutex mutex_;  // guards stopped_, soon_ and the context's existence against post()
  bool stopped_ = false;
  std::vector<std::function<void()>> soon_;  // a timer is set while there are any
  std::unique_ptr<boost::asio::io_context> context_;
  std::unique_ptr<Timer> timer_;
  std::vector<std::function<void()>> at_end_;
  std::atomic<std::thread::id> thread_id_{};
  std::thread thread_;

  std::vector<std::shared_ptr<LoopMember>> members_;  // loop thread only, as what follows
  size_t tick_part_ = 0;
};

}  // namespace qwen
