#include "server/worker_pool.h"

#include <pthread.h>

#include <algorithm>

#include "base/log.h"

namespace qwen {

WorkerPool::WorkerPool(int threads, size_t max_queued) : max_queued_(max_queued), max_large_(std::max(1, threads - 1)) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
}

WorkerPool::~WorkerPool() { stop(); }

bool WorkerPool::submit(std::function<void()> task, Size size) {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_ || small_.size() + large_.size() >= max_queued_) return false;
    (size == Size::kSmall ? small_ : large_).push_back({submitted_++, std::move(task)});
  }
  wake_.notify_one();
  return true;
}

void WorkerPool::stop() {
  Queue small, large;  // dropped outside the lock
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    small.swap(small_);
    large.swap(large_);
  }
  wake_.notify_all();
  for (std::thread& thread : threads_)
    if (thread.joinable()) thread.join();
}

WorkerPool::Queue* WorkerPool::next_queue() {
  const bool may_take_large = !large_.empty() && running_large_ < max_large_;
  if (!may_take_large) return small_.empty() ? nullptr : &small_;
  return small_.empty() || large_.front().number < small_.front().number ? &large_ : &small_;
}

void WorkerPool::run() {
  ::pthread_setname_np(::pthread_self(), "text");
  std::unique_lock lock(mutex_);
  for (;;) {
    Queue* queue = nullptr;
    wake_.wait(lock, [&] { return stopped_ || (queue = next_queue()) != nullptr; });
    if (stopped_) return;
    const bool large = queue == &large_;
    std::function<void()> task = std::move(queue->front().run);
    queue->pop_front();
    running_large_ += large ? 1 : 0;
    lock.unlock();
    try {
      task();
    } catch (const std::exception& e) {  // only memory can have run out: tasks answer their own errors
      log_error("text thread: ", e.what());
    }
    task = nullptr;
    lock.lock();
    running_large_ -= large ? 1 : 0;
  }
}

}  // namespace qwen
