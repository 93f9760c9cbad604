// A few threads for work that would keep an I/O thread from its connections: parsing and tokenizing. Bounded, so that a
// flood waits in the clients' sockets and not here; large work never takes the last thread, so that small work waits
// behind small work only.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace qwen {

class WorkerPool {
 public:
  enum class Size { kSmall, kLarge };

  WorkerPool(int threads, size_t max_queued);
  ~WorkerPool();  // stop()

  // False: the queue is full or the pool stopped. What a task throws is logged. `dropped`: called instead of a task
  // that stop() finds queued.
  bool submit(std::function<void()> task, Size size = Size::kSmall, std::function<void()> dropped = {});
  void stop();  // drops what is queued, waits for what runs

 private:
  struct Task {
    uint64_t number;  // in order of arrival
    std::function<void()> run, dropped;
  };
  using Queue = std::deque<Task>;

  static void contained(const std::function<void()>& work);
  void run();
  Queue* next_queue();  // the one to take from; null where there is nothing that this thread may take

  const size_t max_queued_;
  const int max_large_;  // at once
  std::mutex mutex_;     // guards what follows
  std::condition_variable wake_;
  Queue small_, large_;
  uint64_t submitted_ = 0;
  int running_large_ = 0;
  bool stopped_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace qwen
