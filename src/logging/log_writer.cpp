#include "logging/log_writer.h"

#include <pthread.h>
#include <semaphore.h>

#include <csignal>
#include <cstring>
#include <ctime>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>

#include "base/error.h"
#include "base/log.h"

namespace qwen {
namespace {

constexpr std::chrono::milliseconds kFlushPoll{1};
// Between two writes: many requests share one, and waking the thread for each would cost them more than all else here.
constexpr timespec kPace{0, 5'000'000};

size_t size_of(const LogRecord& record) { return sizeof record + record.message.size() + record.members.size(); }

bool urgent(const LogRecord& record) { return record.level >= LogLevel::kWarning; }

timespec wall_time_after(std::chrono::milliseconds wait) {
  timespec time{};
  ::clock_gettime(CLOCK_REALTIME, &time);
  const int64_t nanos = time.tv_nsec + wait.count() % 1000 * 1'000'000;
  time.tv_sec += wait.count() / 1000 + nanos / 1'000'000'000;
  time.tv_nsec = nanos % 1'000'000'000;
  return time;
}

LogRecord fatal_record(int number) {
  LogRecord record{.level = LogLevel::kError};
  record.message = str("fatal signal ", number, " (", ::strsignal(number), "): the process ends");
  return record;
}

}  // namespace

struct LogWriter::State {
  State(Write to, Bounds most, std::chrono::milliseconds between) : write(std::move(to)), bounds(most), tick(between) {
    ::sem_init(&wakes, 0, 0);
  }
  ~State() { ::sem_destroy(&wakes); }

  void run();
  bool write_once();

  const Write write;
  const Bounds bounds;
  const std::chrono::milliseconds tick;
  sem_t wakes;

  std::mutex mutex;  // guards the queue; nothing is written under it
  std::vector<LogRecord> queue;
  size_t bytes = 0, urgent_bytes = 0;
  uint64_t dropped_since = 0;  // the last write
  bool closed = false;

  // What flush() compares; a fatal signal counts as a record, and so does one that was dropped: it is spoken of.
  std::atomic<uint64_t> pushed{0}, written{0}, dropped{0};
  std::atomic<int> fatal_signal{0};
  std::atomic<bool> stopping{false}, ended{false};
};

void LogWriter::State::run() {
  while (true) {
    const bool last = stopping;  // looked at before the queue: what was pushed before stop() is written
    if (write_once()) {
      if (!last) ::nanosleep(&kPace, nullptr);
    } else if (last) {
      break;
    } else {
      const timespec until = wall_time_after(tick);
      ::sem_timedwait(&wakes, &until);
    }
  }
  ended = true;
}

// Whether there was something.
bool LogWriter::State::write_once() {
  std::vector<LogRecord> batch;
  uint64_t dropped_before = 0;
  {
    const std::lock_guard lock(mutex);
    batch.swap(queue);
    bytes = urgent_bytes = 0;
    dropped_before = std::exchange(dropped_since, 0);
  }
  try {
    if (const int number = fatal_signal.exchange(0); number != 0) batch.push_back(fatal_record(number));
    write(batch, dropped_before);
  } catch (const std::exception&) {
    dropped += batch.size();  // out of memory: nothing can be said about it, but counted
  }
  written += batch.size() + dropped_before;
  return !batch.empty();
}

LogWriter::LogWriter(Write write, Bounds bounds, std::chrono::milliseconds tick)
    : state_(std::make_shared<State>(std::move(write), bounds, tick)) {
  // The process' signals are for its other threads.
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    std::thread([state = state_] { state->run(); }).detach();
  } catch (const std::system_error& error) {
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw Error(ErrorCode::kOs, str("cannot start a thread for the log: ", error.what()));
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

bool LogWriter::push(LogRecord record) {
  const size_t size = size_of(record);
  {
    const std::lock_guard lock(state_->mutex);
    size_t& used = urgent(record) ? state_->urgent_bytes : state_->bytes;
    if (state_->closed || used + size > (urgent(record) ? state_->bounds.urgent_bytes : state_->bounds.bytes)) {
      ++state_->dropped;
      if (state_->closed) return false;
      ++state_->dropped_since;
      ++state_->pushed;
      return false;
    }
    state_->queue.push_back(std::move(record));
    used += size;
    ++state_->pushed;
    if (state_->queue.size() > 1) return true;  // it has been woken
  }
  wake();
  return true;
}

void LogWriter::wake() noexcept { ::sem_post(&state_->wakes); }

uint64_t LogWriter::dropped() const { return state_->dropped; }

void LogWriter::push_fatal_signal(int number) noexcept {
  ++state_->pushed;
  state_->fatal_signal = number;
  wake();
}

bool LogWriter::flush(std::chrono::milliseconds limit) const noexcept {
  const uint64_t target = state_->pushed;
  if (state_->written < target) ::sem_post(&state_->wakes);
  constexpr timespec kPoll{0, std::chrono::nanoseconds(kFlushPoll).count()};
  for (auto waited = std::chrono::milliseconds(0); state_->written < target; waited += kFlushPoll) {
    if (waited >= limit) return false;
    ::nanosleep(&kPoll, nullptr);
  }
  return true;
}

void LogWriter::stop(std::chrono::milliseconds limit) {
  if (std::exchange(stopped_, true)) return;
  state_->stopping = true;
  wake();
  constexpr timespec kPoll{0, std::chrono::nanoseconds(kFlushPoll).count()};
  for (auto waited = std::chrono::milliseconds(0); !state_->ended && waited < limit; waited += kFlushPoll)
    ::nanosleep(&kPoll, nullptr);
  const std::lock_guard lock(state_->mutex);
  state_->closed = true;
}

}  // namespace qwen
