// The compute pool: one thread calls run(), works along, and returns when every task is done.
//
// Tasks are divided into one contiguous range per worker, so that a worker walks memory forward; a worker whose range
// is finished takes tasks from the others'. A worker that lost its core therefore delays a job by at most the one task
// it holds. Which worker runs a task is never defined; results must not depend on it.
//
// Idle workers spin for a moment (the next operation of a step follows within microseconds), then sleep without using
// the CPU.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "base/function_ref.h"

namespace qwen {

class ThreadPool {
 public:
  using Task = FunctionRef<void(int task, int worker)>;

  explicit ThreadPool(int threads);  // ≥ 1, the caller of run() included. Error{kOs} when threads cannot be started.
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }

  // Calls task(i, worker) once for every i in [0, num_tasks), worker in [0, threads()). Not reentrant, one caller at a
  // time; tasks do not throw.
  void run(int num_tasks, Task task);

 private:
  // The unclaimed rest of one worker's range: job number << 32 | next task. The job number keeps a worker that comes
  // late from claiming a task of a job whose description it has not read.
  struct alignas(64) Range {
    std::atomic<uint64_t> next{0};
  };

  int range_begin(int worker, int num_tasks) const {
    return static_cast<int>(static_cast<int64_t>(num_tasks) * worker / threads_);
  }
  void worker_loop(int worker);
  void work(uint32_t job, int worker);
  void stop();

  const int threads_;
  const std::unique_ptr<Range[]> ranges_;  // [threads_]

  // The job's description: written between two jobs, when every range is marked as taken.
  std::atomic<const void*> object_{nullptr};
  std::atomic<Task::Call> call_{nullptr};
  std::atomic<int> num_tasks_{0};

  alignas(64) std::atomic<uint32_t> job_{0};  // counts up; workers wait for a change
  std::atomic<bool> stopping_{false};
  alignas(64) std::atomic<int> unfinished_{0};
  std::vector<std::thread> workers_;
};

}  // namespace qwen
