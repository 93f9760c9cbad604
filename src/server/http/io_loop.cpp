#include "server/http/io_loop.h"

#include <pthread.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/log.h"

namespace qwen {

namespace asio = boost::asio;

namespace {

// Tasks and members answer their own errors; whatever arrives here must not take the others down.
template <typename Work>
void contained(Work&& work) noexcept {
  try {
    work();
  } catch (const std::exception& e) {
    try {
      log_error("I/O thread: ", e.what());
    } catch (const std::exception&) {  // no memory even for that
    }
  }
}

}  // namespace

struct IoLoop::Timer {
  explicit Timer(asio::io_context& context) : tick(context), pace(context), work(context.get_executor()) {}
  asio::steady_timer tick, pace;
  asio::executor_work_guard<asio::io_context::executor_type> work;
};

IoLoop::IoLoop() : context_(std::make_unique<asio::io_context>(1)), timer_(std::make_unique<Timer>(*context_)) {}

IoLoop::~IoLoop() { stop(); }

void IoLoop::start() {
  schedule_tick();
  thread_ = std::thread([this] { run(); });
}

void IoLoop::run() {
  thread_id_ = std::this_thread::get_id();
  ::pthread_setname_np(::pthread_self(), "io");
  bool stopped = false;
  while (!stopped) {
    contained([&] {
      context_->run();
      stopped = true;
    });
  }
}

void IoLoop::stop() {
  if (thread_.joinable()) {
    post([this] {
      for_each_member([](LoopMember& member) { member.abort(); });
      members_.clear();
      context_->stop();
    });
    thread_.join();
  }
  for (const auto& task : std::exchange(at_end_, {})) contained(task);
  std::unique_ptr<asio::io_context> context;
  std::unique_ptr<Timer> timer;  // refers to the context
  std::vector<std::function<void()>> soon;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    soon = std::move(soon_);
    timer = std::move(timer_);
    context = std::move(context_);
  }
  // Outside the lock: destroying queued tasks runs destructors that may call post().
}

bool IoLoop::post(std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  if (stopped_) return false;
  asio::post(*context_, std::move(task));
  return true;
}

bool IoLoop::post_soon(std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  if (stopped_) return false;
  if (soon_.empty()) {
    asio::post(*context_, [this] {
      timer_->pace.expires_after(kPace);
      timer_->pace.async_wait([this](const boost::system::error_code& error) {
        if (!error) run_soon();
      });
    });
  }
  soon_.push_back(std::move(task));
  return true;
}

void IoLoop::run_soon() {
  std::vector<std::function<void()>> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(soon_);
  }
  for (const auto& task : tasks) contained(task);
}

bool IoLoop::dispatch(std::function<void()> task) {
  if (!on_thread()) return post(std::move(task));
  task();
  return true;
}

void IoLoop::add(std::shared_ptr<LoopMember> member) {
  member->place_ = members_.size();
  members_.push_back(std::move(member));
}

void IoLoop::remove(LoopMember* member) {
  const size_t place = member->place_;
  if (place >= members_.size() || members_[place].get() != member) return;
  const auto removed = std::exchange(members_[place], std::move(members_.back()));  // dropped after the list is whole
  if (members_[place]) members_[place]->place_ = place;
  members_.pop_back();
}

void IoLoop::drain() {
  post([this] { for_each_member([](LoopMember& member) { member.drain(); }); });
}

size_t IoLoop::abort_waiting(size_t most, LoopMember::TimePoint before) {
  std::vector<std::pair<LoopMember::TimePoint, std::shared_ptr<LoopMember>>> waiting;
  for (const auto& member : members_)
    if (const auto since = member->waiting_since(); since && *since < before) waiting.emplace_back(*since, member);
  const size_t count = std::min(most, waiting.size());
  std::partial_sort(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(count), waiting.end(),
                    [](const auto& a, const auto& b) { return a.first < b.first; });
  for (size_t i = 0; i < count; ++i) waiting[i].second->abort();
  return count;
}

// Members remove themselves while they are being called, which puts one that had its turn in their place: from the
// back, none is left out.
template <typename Call>
void IoLoop::for_each_member(Call call) {
  for (size_t i = members_.size(); i-- > 0;) {
    if (i >= members_.size()) continue;
    const std::shared_ptr<LoopMember> member = members_[i];
    contained([&] { call(*member); });
  }
}

void IoLoop::schedule_tick() {
  timer_->tick.expires_after(kTick);
  timer_->tick.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    schedule_tick();
    tick();
  });
}

void IoLoop::tick() {
  const auto now = std::chrono::steady_clock::now();
  tick_part_ = (tick_part_ + 1) % kTickParts;
  for (size_t i = members_.size(); i-- > 0;) {
    if (i % kTickParts != tick_part_ || i >= members_.size()) continue;
    const std::shared_ptr<LoopMember> member = members_[i];
    contained([&] { member->tick(now); });
  }
}

}  // namespace qwen
