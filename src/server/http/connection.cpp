#include "server/http/connection.h"

#include <unistd.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "base/log.h"
#include "server/api/errors.h"
#include "server/http/exchange.h"
#include "server/http/output_queue.h"
#include "server/http/request_id.h"
#include "server/http/request_parser.h"
#include "server/http/socket_options.h"

namespace qwen {
namespace {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;
using Clock = std::chrono::steady_clock;
using ErrorCodeT = boost::system::error_code;

constexpr size_t kReadBytes = 8 * 1024;

ApiError too_much_held() {
  return overloaded("too many large requests and answers are under way; try again later", Shortage::kMemory);
}

class Connection final : public LoopMember, public AnswerSink, public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<IoLoop> loop, int socket, bool ipv6, std::string client,
             std::shared_ptr<ConnectionContext> context);
  ~Connection() override { leave(); }

  void start();

  void tick(Clock::time_point now) override;
  void drain() override;
  void abort() override { close(503, "draining"); }
  std::optional<Clock::time_point> waiting_since() const override;

  void answer(uint64_t exchange, Response response) override;
  void begin_stream(uint64_t exchange, Response head, std::string heartbeat) override;
  void write_stream(uint64_t exchange, std::string bytes) override;
  void finish_stream(uint64_t exchange, std::string code) override;
  void count_tokens(uint64_t exchange, TokenCount tokens) override {
    if (current(exchange)) record_.tokens = tokens;
  }

 private:
  enum class State { kIdle, kHead, kBody, kHandling, kLingering, kClosed };

  void read();
  void on_read(const ErrorCodeT& error, size_t size);
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

  Framing framing() const {
    return {.minor_version = minor_version_, .keep_alive = keep_alive_, .request_id = record_.request_id};
  }
  void queue(std::string_view bytes);
  void queue_chunk(std::string_view bytes);
  void flush();
  void on_written(const ErrorCodeT& error, size_t size);
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
  tcp::socket socket_;

  State state_ = State::kIdle;
  Clock::time_point deadline_;       // of kIdle, kHead, kBody and kLingering
  Clock::time_point waiting_since_;  // in kIdle and kHead
  bool counted_ = true;              // in ConnectionContext::count
  bool input_ended_ = false;
  bool keep_alive_ = true;
  size_t discarded_ = 0;  // while lingering

  std::array<char, kReadBytes> read_buffer_;
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

Connection::Connection(std::shared_ptr<IoLoop> loop, int socket, bool ipv6, std::string client,
                       std::shared_ptr<ConnectionContext> context)
    : loop_(std::move(loop)),
      context_(std::move(context)),
      client_(std::move(client)),
      socket_(loop_->context(), ipv6 ? tcp::v6() : tcp::v4(), socket),
      parser_(context_->limits) {}

void Connection::start() {
  set_client_options(socket_.native_handle());
  waiting_since_ = Clock::now();
  deadline_ = waiting_since_ + limits().header_timeout;
  loop_->add(shared_from_this());
  read();
}

// Memory may run out anywhere: this connection ends then, and no other.
template <typename Work>
void Connection::guarded(Work&& work) {
  try {
    work();
  } catch (const std::exception& e) {
    close(500, "internal_error");
    log_error("a connection was closed: ", e.what());
  }
}

// --- reading ---------------------------------------------------------------------------------------------------------

void Connection::read() {
  socket_.async_read_some(asio::buffer(read_buffer_),
                          [self = shared_from_this()](const ErrorCodeT& error, size_t size) {
                            self->guarded([&] { self->on_read(error, size); });
                          });
}

void Connection::on_read(const ErrorCodeT& error, size_t size) {
  if (state_ == State::kClosed) return;
  if (error == asio::error::eof) return on_end_of_input();
  if (error) return close();
  if (state_ == State::kLingering) {
    discarded_ += size;
    if (discarded_ > limits().max_unparsed_bytes) return close();
    return read();
  }
  in_.append(read_buffer_.data(), size);
  if (state_ != State::kHandling)
    parse();
  else if (in_.size() > limits().max_unparsed_bytes)
    return close(400, "bad_request");
  if (state_ != State::kClosed) read();
}

// A client that shuts its sending side down is taken to have gone away, as nginx takes it; an answer that is complete
// is still sent.
void Connection::on_end_of_input() {
  input_ended_ = true;
  switch (state_) {
    case State::kHead:
    case State::kBody:
      return refuse({.status = 400, .code = "bad_request", .message = "the request ended before it was complete"});
    case State::kHandling:
      if (!answer_complete_) close();
      return;
    default:
      return close();
  }
}

bool Connection::parse_one() {
  if (state_ == State::kIdle || state_ == State::kHead) {
    switch (parser_.parse_head(in_)) {
      case RequestParser::Step::kHead:
        admit_request();
        return state_ == State::kBody;
      case RequestParser::Step::kError:
        refuse(parser_.error());
        return false;
      default:
        if (state_ == State::kIdle && !in_.empty()) {
          state_ = State::kHead;
          arrived_ = waiting_since_ = Clock::now();
          deadline_ = arrived_ + limits().header_timeout;
        }
        return false;
    }
  }
  if (state_ == State::kBody) parse_body();
  return false;
}

void Connection::parse_body() {
  const RequestParser::Step step = parser_.parse_body(in_);
  if (step == RequestParser::Step::kError) return refuse(parser_.error());
  if (!hold(parser_.body_bytes())) return refuse(too_much_held());
  if (step == RequestParser::Step::kComplete) dispatch();
}

// The head is complete: everything that can be refused without the body is refused here.
void Connection::admit_request() {
  if (state_ == State::kIdle) arrived_ = Clock::now();
  RequestHead& head = parser_.head();
  record_.method = head.method;
  minor_version_ = head.minor_version;
  head_only_ = head.method == "HEAD";
  keep_alive_ = head.keep_alive && !context_->draining;
  record_.request_id = request_id_or_new(parser_.request_id(in_));
  admission_ = admit(head, context_->routes);
  if (admission_.route) {
    record_.path = admission_.route->path;
    record_.traffic = admission_.route->traffic;
  }
  if (admission_.answer) return answer_unread(std::move(*admission_.answer));
  const auto step = parser_.begin_body(admission_.max_body_bytes);
  if (step == RequestParser::Step::kError) return refuse(parser_.error());
  if (step == RequestParser::Step::kComplete) return dispatch();
  state_ = State::kBody;
  deadline_ = Clock::now() + limits().body_timeout;
  if (head.expect_continue && in_.empty()) queue("HTTP/1.1 100 Continue\r\n\r\n");
}

// Many clients with large bodies, or that do not read large answers, could hold more than the machine has. Small ones
// are bounded by the number of connections, so large ones never keep them out.
bool Connection::hold(size_t bytes) {
  if (bytes <= limits().small_body_bytes) return true;
  if (!held_) held_ = std::make_shared<ByteBudget::Share>(context_->bodies);
  return held_->grow_to(bytes, limits().max_buffered_body_bytes);
}

void Connection::dispatch() {
  state_ = State::kHandling;
  const auto exchange = std::make_shared<Exchange>(loop_, weak_from_this(), ++number_, record_.request_id);
  exchange_ = exchange;
  orphaned_ = false;
  Request request{.head = std::move(parser_.head()),
                  .body = parser_.take_body(),
                  .path_tail = std::move(admission_.path_tail),
                  .request_id = record_.request_id,
                  .client = client_,
                  .arrived = arrived_,
                  .body_reservation = std::move(held_)};
  parser_.reset();
  try {
    admission_.route->handler(std::move(request), exchange);
  } catch (...) {
    exchange->send(error_response(to_api_error(std::current_exception(), record_.request_id)));
  }
}

void Connection::refuse(const ApiError& error) {
  // A refused head leaves nothing to answer a second request by.
  keep_alive_ = false;
  if (record_.request_id.empty()) record_.request_id = request_id_or_new(parser_.request_id(in_));
  if (arrived_ == Clock::time_point{}) arrived_ = Clock::now();
  answer_unread(error_response(error));
}

// Answers on the head alone; a body that comes with it stays unread, so the connection cannot go on.
void Connection::answer_unread(Response response) {
  if (parser_.head().has_body()) keep_alive_ = false;
  state_ = State::kHandling;
  parser_.reset();
  held_.reset();
  exchange_.reset();
  orphaned_ = false;
  answer(++number_, std::move(response));
}

// --- answering -------------------------------------------------------------------------------------------------------

void Connection::answer(uint64_t exchange, Response response) {
  if (!current(exchange) || streaming_) return;
  guarded([&] {
    if (!hold(response.body.size())) response = error_response(too_much_held());
    record_.status = response.status;
    record_.code = response.code;
    record_.shortage = response.shortage;
    Framing how = framing();
    how.body_size = response.body.size();
    std::string bytes = serialize_head(response, how);
    if (!head_only_ && response.status != 204 && response.status != 304) bytes += response.body;
    queue(bytes);
    answer_complete();
  });
}

void Connection::begin_stream(uint64_t exchange, Response head, std::string heartbeat) {
  if (!current(exchange) || streaming_) return;
  guarded([&] {
    streaming_ = true;
    ++context_->streams_open;
    heartbeat_ = std::move(heartbeat);
    record_.status = head.status;
    if (minor_version_ == 0) keep_alive_ = false;
    Framing how = framing();
    how.chunked = minor_version_ == 1;
    how.until_close = !how.chunked;
    queue(serialize_head(head, how));
  });
}

void Connection::write_stream(uint64_t exchange, std::string bytes) {
  if (!current(exchange) || !streaming_ || bytes.empty()) return;
  // What is left from before counts: one event may be larger than the bound.
  if (out_.size() > limits().max_stream_buffer || !hold(out_.size() + bytes.size()))
    return close(kClientGone, kSlowClient);
  guarded([&] { queue_chunk(bytes); });
}

void Connection::finish_stream(uint64_t exchange, std::string code) {
  if (!current(exchange) || !streaming_) return;
  guarded([&] {
    record_.code = std::move(code);
    if (minor_version_ == 1) queue("0\r\n\r\n");
    answer_complete();
  });
}

void Connection::queue_chunk(std::string_view bytes) {
  if (minor_version_ == 0) return queue(bytes);
  char size[20];
  std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
  std::string chunk = size;
  queue(chunk.append(bytes).append("\r\n"));
}

void Connection::answer_complete() {
  answer_complete_ = true;
  if (const auto exchange = exchange_.lock()) exchange->complete();
  exchange_.reset();
  if (!writing_ && out_.empty()) after_answer();
}

void Connection::queue(std::string_view bytes) {
  record_.bytes_out += bytes.size();
  const auto now = Clock::now();
  out_.append(bytes, now);
  if (!writing_) last_write_ = now;
  flush();
}

// One write at a time; whatever was queued meanwhile goes out with the next.
void Connection::flush() {
  if (writing_ || out_.empty() || state_ == State::kClosed) return;
  writing_ = true;
  const std::string_view bytes = out_.front();
  socket_.async_write_some(asio::buffer(bytes.data(), bytes.size()),
                           [self = shared_from_this()](const ErrorCodeT& error, size_t size) {
                             self->guarded([&] { self->on_written(error, size); });
                           });
}

void Connection::on_written(const ErrorCodeT& error, size_t size) {
  writing_ = false;
  if (state_ == State::kClosed) return;
  if (error) return close();
  last_write_ = Clock::now();
  out_.consume(size);
  flush();
  if (!writing_ && answer_complete_) after_answer();
}

// The answer has been handed to the kernel.
void Connection::after_answer() {
  log();
  answer_complete_ = false;
  stream_closed();
  held_.reset();
  record_ = {};
  head_only_ = false;
  arrived_ = {};
  if (!keep_alive_ || input_ended_ || context_->draining) return linger();
  state_ = State::kIdle;
  waiting_since_ = Clock::now();
  deadline_ = waiting_since_ + limits().idle_timeout;
  parse();
}

// Closing while the client still sends would reset the connection, and the client could lose the answer: say that no
// more comes, and wait a moment for its end.
void Connection::linger() {
  if (input_ended_) return close();
  state_ = State::kLingering;
  deadline_ = Clock::now() + limits().linger_timeout;
  in_.clear();
  ErrorCodeT ignored;
  socket_.shutdown(tcp::socket::shutdown_send, ignored);
}

// A request that is under way is logged with this status and code, whatever its answer began with.
void Connection::close(int status, std::string_view code) {
  if (state_ == State::kClosed) return;
  const auto self = shared_from_this();  // remove() may drop the last other reference
  state_ = State::kClosed;
  stream_closed();
  ErrorCodeT ignored;
  socket_.close(ignored);
  if (const auto exchange = exchange_.lock()) exchange->disconnected();
  exchange_.reset();
  held_.reset();
  loop_->remove(this);
  leave();
  record_.status = status;
  if (!code.empty()) record_.code = code;
  if (!record_.request_id.empty()) log();
}

void Connection::log() {
  if (!context_->on_request) return;
  record_.client = client_;
  record_.seconds = std::chrono::duration<double>(Clock::now() - arrived_).count();
  context_->on_request(record_);
}

// --- time ------------------------------------------------------------------------------------------------------------

void Connection::tick(Clock::time_point now) {
  if (out_.stalled(now, limits().write_stall_timeout)) return close(kClientGone, kWriteStall);
  switch (state_) {
    case State::kIdle:
    case State::kLingering:
      if (now > deadline_) close();
      return;
    case State::kHead:
    case State::kBody:
      if (now > deadline_)
        refuse({.status = 408, .code = "request_timeout", .message = "the request did not arrive in time"});
      return;
    case State::kHandling:
      if (!answer_complete_ && exchange_.expired()) {
        // Whoever was to answer is gone, and what it may have said last has arrived by the next tick.
        if (orphaned_) return close(500, "internal_error");
        orphaned_ = true;
        return;
      }
      if (streaming_ && !answer_complete_ && !writing_ && !heartbeat_.empty() && now - last_write_ > limits().heartbeat)
        queue_chunk(heartbeat_);
      return;
    case State::kClosed:
      return;
  }
}

std::optional<Clock::time_point> Connection::waiting_since() const {
  return state_ == State::kIdle || state_ == State::kHead ? std::optional(waiting_since_) : std::nullopt;
}

// Who has just connected is about to send a request, and may have no way to repeat it; who has had answers is told
// nothing new by the end of an idle connection.
void Connection::drain() {
  keep_alive_ = false;
  if (state_ != State::kIdle) return;
  if (number_ > 0) return close();
  deadline_ = std::min(deadline_, Clock::now() + limits().drain_first_request);
}

}  // namespace

void serve_connection(std::shared_ptr<IoLoop> loop, int socket, bool ipv6, std::string client,
                      std::shared_ptr<ConnectionContext> context) {
  std::shared_ptr<Connection> connection;
  try {
    connection = std::make_shared<Connection>(std::move(loop), socket, ipv6, client, context);
  } catch (const std::exception&) {
    ::close(socket);
    context->count.release(client);
    return;
  }
  connection->start();
}

}  // namespace qwen
