#include "server/worker_pool.h"

#include <pthread.h>

#include <algorithm>
#include <optional>

#include "base/log.h"

namespace qwen {

WorkerPool::WorkerPool(int threads, size_t max_queued) : max_queued_(max_queued), max_large_(std::max(1, threads - 1)) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
}

WorkerPool::~WorkerPool() { stop(); }

bool WorkerPool::submit(std::function<void()> task, Size size, std::function<void()> dropped) {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_ || small_.size() + large_.size() >= max_queued_) return false;
    (size == Size::kSmall ? small_ : large_).push_back({submitted_++, std::move(task), std::move(dropped)});
  }
  wake_.notify_one();
  return true;
}

void WorkerPool::stop() {
  Queue small, large;  // told and dropped outside the lock
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    small.swap(small_);
    large.swap(large_);
  }
  wake_.notify_all();
  for (const Queue* queue : {&small, &large})
    for (const Task& task : *queue)
      if (task.dropped) contained(task.dropped);
  for (std::thread& thread : threads_)
    if (thread.joinable()) thread.join();
}

WorkerPool::Queue* WorkerPool::next_queue() {
  const bool may_take_large = !large_.empty() && running_large_ < max_large_;
  if (!may_take_large) return small_.empty() ? nullptr : &small_;
  return small_.empty() || large_.front().number < small_.front().number ? &large_ : &small_;
}

// Only memory can have run out: tasks answer their own errors.
void WorkerPool::contained(const std::function<void()>& work) {
  try {
    work();
  } catch (const std::exception& e) {
    log_error("text thread: ", e.what());
  }
}

void WorkerPool::run() {
  ::pthread_setname_np(::pthread_self(), "text");
  std::unique_lock lock(mutex_);
  for (;;) {
    Queue* queue = nullptr;
    wake_.wait(lock, [&] { return stopped_ || (queue = next_queue()) != nullptr; });
    if (stopped_) return;
    const bool large = queue == &large_;
    std::optional<Task> task = std::move(queue->front());
    queue->pop_front();
    running_large_ += large ? 1 : 0;
    lock.unlock();
    contained(task->run);
    task.reset();
    lock.lock();
    running_large_ -= large ? 1 : 0;
  }
}

}  // namespace qwen
