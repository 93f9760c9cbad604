// The Responder of one request: carries calls from any thread to the connection's I/O thread, and the news of a lost
// client back.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "server/http/io_loop.h"
#include "server/http/responder.h"

namespace qwen {

// The side of a connection that an exchange talks to; I/O thread only. `exchange` numbers tell a late call from a
// current one.
class AnswerSink {
 public:
  virtual ~AnswerSink() = default;
  virtual void answer(uint64_t exchange, Response response) = 0;
  virtual void begin_stream(uint64_t exchange, Response head, std::string heartbeat) = 0;
  virtual void write_stream(uint64_t exchange, std::string bytes) = 0;
  virtual void finish_stream(uint64_t exchange, std::string code) = 0;
  virtual void count_tokens(uint64_t exchange, TokenCount tokens) = 0;
};

class Exchange final : public Responder, public std::enable_shared_from_this<Exchange> {
 public:
  Exchange(std::shared_ptr<IoLoop> loop, std::weak_ptr<AnswerSink> sink, uint64_t number, std::string request_id)
      : loop_(std::move(loop)), sink_(std::move(sink)), number_(number), request_id_(std::move(request_id)) {}
  ~Exchange() override;

  void send(Response response) override;
  void begin_stream(Response head, std::string heartbeat) override;
  void write(std::string bytes) override;
  void finish(std::string code = {}) override;
  void count_tokens(TokenCount tokens) override;
  void post(std::function<void()> task) override { loop_->post(std::move(task)); }
  void post_soon(std::function<void()> task) override { loop_->post_soon(std::move(task)); }
  void on_disconnect(std::function<void()> callback) override;
  bool client_gone() const override { return gone_.load(std::memory_order_relaxed); }

  // From the connection, on the I/O thread.
  void complete();      // the answer is complete: forget the callback
  void disconnected();  // the client is gone

 private:
  template <typename Call>
  void on_sink(Call call);
  void answer_for_the_handler();

  const std::shared_ptr<IoLoop> loop_;
  const std::weak_ptr<AnswerSink> sink_;
  const uint64_t number_;
  const std::string request_id_;
  std::atomic<bool> gone_{false};
  std::atomic<bool> answered_{false};    // send() or finish() was called
  std::function<void()> on_disconnect_;  // I/O thread only
  bool complete_ = false;                // I/O thread only
};

}  // namespace qwen
