// One I/O thread with its event loop. Connections are pinned to a loop: everything that a connection does happens on
// that one thread, so connections need no locks. Other threads come in through post() alone.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>

namespace boost::asio {
class io_context;
}

namespace qwen {

// What lives on a loop. All calls come from the loop's thread.
class LoopMember {
 public:
  virtual ~LoopMember() = default;
  virtual void tick(
      std::chrono::steady_clock::time_point now) = 0;  // every IoLoop::kTick: the time to look at deadlines
  virtual void drain() = 0;                            // finish what runs, begin nothing new
  virtual void abort() = 0;                            // close now
};

class IoLoop {
 public:
  static constexpr std::chrono::milliseconds kTick{50};

  IoLoop();
  ~IoLoop();  // stop()
  IoLoop(const IoLoop&) = delete;
  IoLoop& operator=(const IoLoop&) = delete;

  void start();
  // Aborts the members, joins the thread and drops what was still queued. Not from the loop's own thread.
  void stop();

  // Runs `task` on the loop's thread, in order of posting; thread-safe; false (and nothing happens) once stopped.
  bool post(std::function<void()> task);
  // At once where this already is the loop's thread.
  bool dispatch(std::function<void()> task);
  bool on_thread() const { return std::this_thread::get_id() == thread_id_.load(std::memory_order_relaxed); }

  // From the loop's thread. A member is kept alive until it is removed.
  void add(std::shared_ptr<LoopMember> member);
  void remove(LoopMember* member);
  void drain();  // any thread: drain() for every member

  boost::asio::io_context& context() { return *context_; }

 private:
  struct Timer;
  void schedule_tick();
  void run();
  template <typename Call>
  void for_each_member(Call call);

  std::mutex mutex_;  // guards stopped_ and the context's existence against post()
  bool stopped_ = false;
  std::unique_ptr<boost::asio::io_context> context_;
  std::unique_ptr<Timer> timer_;
  std::atomic<std::thread::id> thread_id_{};
  std::thread thread_;

  std::unordered_map<LoopMember*, std::shared_ptr<LoopMember>> members_;  // loop thread only
};

}  // namespace qwen
