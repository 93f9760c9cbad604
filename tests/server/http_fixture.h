// Listener, loops and connections with handlers of the test's own: HTTP without a service behind it.
#pragma once

#include <atomic>
#include <mutex>
#include <new>
#include <thread>

#include "raw_client.h"
#include "server/http/listener.h"

namespace qwen::test {

class HttpFixture : public testing::Test {
 protected:
  void TearDown() override { stop(); }

  void add(const std::string& method, const std::string& path, Handler handler, size_t max_body = 0) {
    context_->routes.add({method, path, Access::kOpen, std::move(handler), max_body});
  }
  void start(int loops = 2, PortSharing sharing = {}) {
    context_->on_request = [this](const AccessRecord& record) {
      if (fail_next_record_.exchange(false)) throw std::bad_alloc();
      const std::lock_guard lock(mutex_);
      records_.push_back(record);
    };
    for (int i = 0; i < loops; ++i) loops_.push_back(std::make_shared<IoLoop>());
    listener_ = std::make_unique<Listener>(loops_, context_, "127.0.0.1", 0, sharing);
    for (const auto& loop : loops_) loop->start();
    if (!sharing.opens_late) listener_->start();
  }
  void stop() {
    if (listener_) listener_->stop();
    for (const auto& loop : loops_) loop->stop();
  }

  int port() const { return listener_->port(); }
  HttpLimits& limits() { return context_->limits; }
  int open() const { return context_->count.open(); }
  std::vector<AccessRecord> records() {
    const std::lock_guard lock(mutex_);
    return records_;
  }

  std::shared_ptr<ConnectionContext> context_ = std::make_shared<ConnectionContext>();
  std::vector<std::shared_ptr<IoLoop>> loops_;
  std::unique_ptr<Listener> listener_;
  std::atomic<bool> fail_next_record_{false};  // to keep a record throws, once
  std::mutex mutex_;
  std::vector<AccessRecord> records_;
};

}  // namespace qwen::test
