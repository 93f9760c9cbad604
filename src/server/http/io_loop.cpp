#include "server/http/io_loop.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <optional>
#include <vector>

#include "base/log.h"

namespace qwen {

namespace asio = boost::asio;

struct IoLoop::Timer {
  explicit Timer(asio::io_context& context) : tick(context), work(context.get_executor()) {}
  asio::steady_timer tick;
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
  for (;;) {
    try {
      context_->run();
      return;
    } catch (const std::exception& e) {
      // Handlers answer their own errors; whatever arrives here must not take the other connections down.
      log_error("I/O thread: ", e.what());
    }
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
  std::unique_ptr<asio::io_context> context;
  std::unique_ptr<Timer> timer;  // refers to the context
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
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

bool IoLoop::dispatch(std::function<void()> task) {
  if (!on_thread()) return post(std::move(task));
  task();
  return true;
}

void IoLoop::add(std::shared_ptr<LoopMember> member) {
  LoopMember* const key = member.get();
  members_.emplace(key, std::move(member));
}

void IoLoop::remove(LoopMember* member) { members_.erase(member); }

void IoLoop::drain() {
  post([this] { for_each_member([](LoopMember& member) { member.drain(); }); });
}

// Members remove themselves while they are being called.
template <typename Call>
void IoLoop::for_each_member(Call call) {
  std::vector<std::shared_ptr<LoopMember>> members;
  members.reserve(members_.size());
  for (const auto& entry : members_) members.push_back(entry.second);
  for (const auto& member : members) call(*member);
}

void IoLoop::schedule_tick() {
  timer_->tick.expires_after(kTick);
  timer_->tick.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    const auto now = std::chrono::steady_clock::now();
    for_each_member([now](LoopMember& member) { member.tick(now); });
    schedule_tick();
  });
}

}  // namespace qwen
