// A few threads for work that would keep an I/O thread from its connections: parsing and tokenizing. Bounded, so that a
// flood waits in the clients' sockets and not here.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace qwen {

class WorkerPool {
 public:
  WorkerPool(int threads, size_t max_queued);
  ~WorkerPool();  // stop()

  bool submit(std::function<void()> task);  // false: the queue is full or the pool stopped. What they throw is logged.
  void stop();                              // drops what is queued, waits for what runs

 private:
  void run();

  const size_t max_queued_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;
  bool stopped_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace qwen
