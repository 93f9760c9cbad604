#include "base/thread_pool.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <system_error>

#include "base/error.h"

namespace qwen {
namespace {

constexpr uint32_t kTaken = 0xffffffffu;  // as a next task: nothing left to claim

void pause_core() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// How long to spin before sleeping, which takes tens of microseconds to end. For the last tasks of a job,
constexpr std::chrono::microseconds kFinishSpin(64);
// and for the next job: longer than the serial parts of a step, shorter than anyone would notice.
constexpr std::chrono::microseconds kIdleSpin(200);

// Waits until ready() by spinning, then by yielding the core; false once `limit` has passed.
template <typename Ready>
bool spin_until(const Ready& ready, std::chrono::microseconds limit) {
  using Clock = std::chrono::steady_clock;
  constexpr int kSpins = 256;  // about 10 µs on Zen 4
  for (int i = 0; i < kSpins; ++i) {
    if (ready()) return true;
    pause_core();
  }
  const Clock::time_point end = Clock::now() + limit;
  while (!ready()) {
    if (Clock::now() > end) return false;
    for (int i = 0; i < 32 && !ready(); ++i) pause_core();
    std::this_thread::yield();
  }
  return true;
}

}  // namespace

ThreadPool::ThreadPool(int threads)
    : threads_(std::max(threads, 1)), ranges_(new Range[static_cast<size_t>(threads_)]) {
  // Signals belong to the thread that handles shutdown; workers inherit a full mask.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    workers_.reserve(static_cast<size_t>(threads_) - 1);
    for (int worker = 1; worker < threads_; ++worker) {
      workers_.emplace_back([this, worker] { worker_loop(worker); });
      pthread_setname_np(workers_.back().native_handle(), ("compute-" + std::to_string(worker)).substr(0, 15).c_str());
    }
  } catch (const std::system_error& error) {
    stop();
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw Error(ErrorCode::kOs,
                str("cannot start ", threads_, " compute threads (", error.what(), "): choose fewer --threads"));
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() {
  stopping_.store(true);
  job_.fetch_add(1);
  job_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run(int num_tasks, Task task) {
  if (num_tasks <= 0) return;
  if (threads_ == 1 || num_tasks == 1) {
    for (int i = 0; i < num_tasks; ++i) task(i, 0);
    return;
  }
  const uint32_t job = job_.load(std::memory_order_relaxed) + 1;
  const uint64_t tag = static_cast<uint64_t>(job) << 32;
  // First close the ranges, then change the description: a late worker that reads the new description also finds the
  // ranges closed.
  for (int i = 0; i < threads_; ++i) ranges_[i].next.store(tag | kTaken, std::memory_order_relaxed);
  object_.store(task.object(), std::memory_order_release);
  call_.store(task.call(), std::memory_order_release);
  num_tasks_.store(num_tasks, std::memory_order_release);
  unfinished_.store(num_tasks, std::memory_order_relaxed);
  for (int i = 0; i < threads_; ++i) {
    ranges_[i].next.store(tag | static_cast<uint32_t>(range_begin(i, num_tasks)), std::memory_order_release);
  }
  job_.store(job, std::memory_order_seq_cst);
  job_.notify_all();

  work(job, 0);
  if (spin_until([this] { return unfinished_.load(std::memory_order_acquire) == 0; }, kFinishSpin)) return;
  // A worker has lost its core: leave it ours.
  for (int left = unfinished_.load(std::memory_order_acquire); left != 0;
       left = unfinished_.load(std::memory_order_acquire)) {
    unfinished_.wait(left, std::memory_order_acquire);
  }
}

void ThreadPool::work(uint32_t job, int worker) {
  const int num_tasks = num_tasks_.load(std::memory_order_acquire);
  const Task::Call call = call_.load(std::memory_order_acquire);
  const void* object = object_.load(std::memory_order_acquire);
  int finished = 0;
  for (int i = 0; i < threads_; ++i) {
    const int victim = (worker + i) % threads_;
    std::atomic<uint64_t>& next = ranges_[victim].next;
    const uint32_t end = static_cast<uint32_t>(range_begin(victim + 1, num_tasks));
    uint64_t claim = next.load(std::memory_order_acquire);
    while ((claim >> 32) == job && static_cast<uint32_t>(claim) < end) {
      if (!next.compare_exchange_weak(claim, claim + 1, std::memory_order_acq_rel, std::memory_order_acquire)) continue;
      call(object, static_cast<int>(static_cast<uint32_t>(claim)), worker);
      ++finished;
      claim = next.load(std::memory_order_acquire);
    }
  }
  if (finished > 0 && unfinished_.fetch_sub(finished, std::memory_order_release) == finished) unfinished_.notify_one();
}

void ThreadPool::worker_loop(int worker) {
  uint32_t seen = 0;
  while (true) {
    const auto changed = [&] { return job_.load(std::memory_order_acquire) != seen; };
    if (!spin_until(changed, kIdleSpin)) job_.wait(seen, std::memory_order_acquire);
    const uint32_t job = job_.load(std::memory_order_acquire);
    if (stopping_.load(std::memory_order_acquire)) return;
    if (job == seen) continue;
    work(job, worker);
    seen = job;
  }
}

}  // namespace qwen
