// One connection's state and steps; what it is and keeps stands in connection.h.
#pragma once

#include <array>
#include <iterator>
#include <string>
#include <utility>

#include "server/http/client_socket.h"
#include "server/http/connection.h"
#include "server/http/exchange.h"
#include "server/http/output_queue.h"
#include "server/http/request_parser.h"

namespace qwen {

class Connection final : public LoopMember,
                         public AnswerSink,
                         public SocketUser,
                         public std::enable_shared_from_this<Connection> {
 public:
  using Clock = std::chrono::steady_clock;

  Connection(std::shared_ptr<IoLoop> loop, std::unique_ptr<ClientSocket> socket, std::string client,
             std::shared_ptr<ConnectionContext> context);
  ~Connection() override { leave(); }

  void start();

  void tick(Clock::time_point now) override;
  void drain() override;
  void abort() override { close(503, "draining"); }
  std::optional<Clock::time_point> waiting_since() const override;

  void on_open(IoResult result) override;
  void on_read(IoResult result, size_t size) override;
  void on_written(IoResult result, size_t size) override;

  void answer(uint64_t exchange, Response response) override;
  void begin_stream(uint64_t exchange, Response head, std::string heartbeat) override;
  void write_stream(uint64_t exchange, std::string bytes) override;
  void finish_stream(uint64_t exchange, std::string code) override;
  void count_tokens(uint64_t exchange, TokenCount tokens) override {
    if (current(exchange)) record_.tokens = tokens;
  }

 private:
  enum class State { kHandshake, kIdle, kHead, kBody, kHandling, kLingering, kClosed };

  void read() { socket_->read(read_buffer_, shared_from_this()); }
  void take_input(IoResult result, size_t size);
  void on_end_of_input();
  void parse() {
    while (parse_one()) {
    }
  }
  bool parse_one();  // false: more bytes are needed, or an answer is under way
  void parse_body();
  void admit_request();
  bool hold(size_t bytes);
  void dispatch();
  void refuse(const ApiError& error);
  void answer_unread(Response response);
  void add_admission_headers(Response& response) {
    auto& more = admission_.headers;
    response.headers.insert(response.headers.end(), std::make_move_iterator(more.begin()),
                            std::make_move_iterator(more.end()));
    more.clear();
  }

  Framing framing() const {
    return {.minor_version = minor_version_,
            .keep_alive = keep_alive_,
            .request_id = record_.request_id,
            .hsts_max_age = context_->hsts_max_age};
  }
  void queue(std::string_view bytes);
  void queue_chunk(std::string_view bytes);
  void flush();
  void answer_complete();
  void after_answer();
  void linger();
  void close(int status = kClientGone, std::string_view code = {});
  void stream_closed() { context_->streams_open -= std::exchange(streaming_, false) ? 1 : 0; }
  void leave() {
    if (std::exchange(counted_, false)) context_->count.release(client_);
  }
  void log();
  template <typename Work>
  void guarded(Work&& work);

  bool current(uint64_t exchange) const {
    return state_ == State::kHandling && exchange == number_ && !answer_complete_;
  }
  const HttpLimits& limits() const { return context_->limits; }

  const std::shared_ptr<IoLoop> loop_;
  const std::shared_ptr<ConnectionContext> context_;
  const std::string client_;
  const std::unique_ptr<ClientSocket> socket_;

  State state_ = State::kIdle;
  Clock::time_point deadline_;       // of kHandshake, kIdle, kHead, kBody and kLingering
  Clock::time_point waiting_since_;  // in kHandshake, kIdle and kHead
  bool counted_ = true;              // in ConnectionContext::count
  bool input_ended_ = false;
  bool keep_alive_ = true;
  size_t discarded_ = 0;  // while lingering

  std::array<char, 8 * 1024> read_buffer_;
  std::string in_;  // read and not yet parsed
  RequestParser parser_;
  Admission admission_;
  std::shared_ptr<ByteBudget::Share> held_;  // of the body that is read, or of the answer that is written

  // The current exchange.
  uint64_t number_ = 0;
  std::weak_ptr<Exchange> exchange_;
  bool orphaned_ = false;  // at the last tick nobody was left to answer
  AccessRecord record_;    // request_id is empty as long as there is nothing to log
  Clock::time_point arrived_;
  int minor_version_ = 1;
  bool head_only_ = false;
  bool streaming_ = false;
  bool answer_complete_ = false;  // everything of the answer is queued
  std::string heartbeat_;

  OutputQueue out_;
  bool writing_ = false;
  Clock::time_point last_write_;  // progress of the socket, or the last event of a stream
};

}  // namespace qwen
