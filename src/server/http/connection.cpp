#include "server/http/connection.h"

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <optional>

#include "server/api/errors.h"
#include "server/http/exchange.h"
#include "server/http/request_id.h"
#include "server/http/request_parser.h"

namespace qwen {
namespace {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;
using Clock = std::chrono::steady_clock;
using ErrorCodeT = boost::system::error_code;

constexpr size_t kReadBytes = 8 * 1024;

class Connection final : public LoopMember, public AnswerSink, public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<IoLoop> loop, int socket, bool ipv6, std::string client,
             std::shared_ptr<ConnectionContext> context);
  ~Connection() override { context_->count.release(client_); }

  void start();

  void tick(Clock::time_point now) override;
  void drain() override;
  void abort() override { close(); }

  void answer(uint64_t exchange, Response response) override;
  void begin_stream(uint64_t exchange, Response head, std::string heartbeat) override;
  void write_stream(uint64_t exchange, std::string bytes) override;
  void finish_stream(uint64_t exchange) override;

 private:
  enum class State { kIdle, kHead, kBody, kHandling, kLingering, kClosed };

  void read();
  void on_read(const ErrorCodeT& error, size_t size);
  void on_end_of_input();
  void parse();
  bool parse_one();  // false: more bytes are needed, or an answer is under way
  void admit_request();
  bool reserve_body(const RequestHead& head);
  void dispatch();
  void refuse(const ApiError& error);
  void answer_unread(Response response);

  Framing framing() const;
  void queue(std::string bytes);
  void queue_chunk(std::string_view bytes);
  void flush();
  void on_written(const ErrorCodeT& error, size_t size);
  void answer_complete();
  void after_answer();
  void linger();
  void close();
  void log(int status, const std::string& code);

  bool current(uint64_t exchange) const {
    return state_ == State::kHandling && exchange == number_ && !answer_complete_;
  }
  const HttpLimits& limits() const { return context_->limits; }

  const std::shared_ptr<IoLoop> loop_;
  const std::shared_ptr<ConnectionContext> context_;
  const std::string client_;
  tcp::socket socket_;

  State state_ = State::kIdle;
  Clock::time_point deadline_;  // of kIdle, kHead, kBody and kLingering
  bool input_ended_ = false;
  bool keep_alive_ = true;
  size_t discarded_ = 0;  // while lingering

  std::array<char, kReadBytes> read_buffer_;
  std::string in_;  // read and not yet parsed
  RequestParser parser_;
  Admission admission_;
  std::shared_ptr<void> body_reservation_;

  uint64_t number_ = 0;  // of the current exchange
  std::weak_ptr<Exchange> exchange_;
  std::string request_id_;
  Clock::time_point arrived_;
  std::string method_ = "-", path_ = "-";
  int minor_version_ = 1;
  bool head_only_ = false;
  int status_ = 0;
  std::string code_;

  bool streaming_ = false;
  bool answer_complete_ = false;  // everything of the answer is queued
  std::string heartbeat_;
  std::string out_, in_flight_;  // queued, and being written
  size_t written_ = 0;           // of in_flight_
  size_t bytes_out_ = 0;
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
  ErrorCodeT ignored;
  socket_.set_option(tcp::no_delay(true), ignored);
  socket_.set_option(asio::socket_base::keep_alive(true), ignored);
  const unsigned milliseconds =
      60'000;  // unacknowledged data: a peer that vanished without a FIN is noticed after this
  ::setsockopt(socket_.native_handle(), IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds, sizeof milliseconds);
  deadline_ = Clock::now() + limits().header_timeout;
  loop_->add(shared_from_this());
  read();
}

// --- reading
// ---------------------------------------------------------------------------------------------------------------------

void Connection::read() {
  socket_.async_read_some(
      asio::buffer(read_buffer_),
      [self = shared_from_this()](const ErrorCodeT& error, size_t size) { self->on_read(error, size); });
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
    return close();
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

void Connection::parse() {
  while (parse_one()) {
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
          arrived_ = Clock::now();
          deadline_ = arrived_ + limits().header_timeout;
        }
        return false;
    }
  }
  if (state_ != State::kBody) return false;
  switch (parser_.parse_body(in_)) {
    case RequestParser::Step::kComplete:
      dispatch();
      break;
    case RequestParser::Step::kError:
      refuse(parser_.error());
      break;
    default:
      break;
  }
  return false;
}

// The head is complete: everything that can be refused without the body is refused here.
void Connection::admit_request() {
  if (state_ == State::kIdle) arrived_ = Clock::now();
  RequestHead& head = parser_.head();
  method_ = head.method;
  minor_version_ = head.minor_version;
  head_only_ = head.method == "HEAD";
  keep_alive_ = head.keep_alive && !context_->draining;
  request_id_ = request_id_or_new(find_header(head.headers, "x-request-id").value_or(""));
  admission_ = admit(head, context_->routes);
  if (admission_.route) path_ = admission_.route->path;
  if (admission_.answer) return answer_unread(std::move(*admission_.answer));
  if (!reserve_body(head)) return;
  const auto step = parser_.begin_body(admission_.max_body_bytes);
  if (step == RequestParser::Step::kError) return refuse(parser_.error());
  if (step == RequestParser::Step::kComplete) return dispatch();
  state_ = State::kBody;
  deadline_ = Clock::now() + limits().body_timeout;
  if (head.expect_continue && in_.empty()) queue("HTTP/1.1 100 Continue\r\n\r\n");
}

// Many clients with large bodies could hold more than the machine has: past the budget the next one is told to come
// again.
bool Connection::reserve_body(const RequestHead& head) {
  if (!head.has_body()) return true;
  body_reservation_ = context_->bodies.reserve(head.content_length.value_or(admission_.max_body_bytes),
                                               limits().max_buffered_body_bytes);
  if (body_reservation_) return true;
  refuse({.status = 503,
          .code = "server_overloaded",
          .message = "too many large requests are being read; try again later",
          .retry_after_seconds = 1});
  return false;
}

void Connection::dispatch() {
  state_ = State::kHandling;
  const auto exchange = std::make_shared<Exchange>(loop_, weak_from_this(), ++number_, request_id_);
  exchange_ = exchange;
  Request request{.head = std::move(parser_.head()),
                  .body = parser_.take_body(),
                  .path_tail = std::move(admission_.path_tail),
                  .request_id = request_id_,
                  .client = client_,
                  .arrived = arrived_,
                  .body_reservation = std::move(body_reservation_)};
  parser_.reset();
  try {
    admission_.route->handler(std::move(request), exchange);
  } catch (...) {
    exchange->send(error_response(to_api_error(std::current_exception(), request_id_)));
  }
}

void Connection::refuse(const ApiError& error) {
  // A refused head leaves nothing to answer a second request by.
  keep_alive_ = false;
  if (request_id_.empty()) request_id_ = request_id_or_new("");
  if (arrived_ == Clock::time_point{}) arrived_ = Clock::now();
  answer_unread(error_response(error));
}

// Answers on the head alone; a body that comes with it stays unread, so the connection cannot go on.
void Connection::answer_unread(Response response) {
  if (parser_.head().has_body()) keep_alive_ = false;
  state_ = State::kHandling;
  parser_.reset();
  body_reservation_.reset();
  answer(++number_, std::move(response));
}

// --- answering
// -------------------------------------------------------------------------------------------------------------------

Framing Connection::framing() const {
  return {.minor_version = minor_version_, .keep_alive = keep_alive_, .request_id = request_id_};
}

void Connection::answer(uint64_t exchange, Response response) {
  if (!current(exchange) || streaming_) return;
  status_ = response.status;
  code_ = response.code;
  Framing how = framing();
  how.body_size = response.body.size();
  std::string bytes = serialize_head(response, how);
  if (!head_only_ && response.status != 204 && response.status != 304) bytes += response.body;
  queue(std::move(bytes));
  answer_complete();
}

void Connection::begin_stream(uint64_t exchange, Response head, std::string heartbeat) {
  if (!current(exchange) || streaming_) return;
  streaming_ = true;
  heartbeat_ = std::move(heartbeat);
  status_ = head.status;
  if (minor_version_ == 0) keep_alive_ = false;
  Framing how = framing();
  how.chunked = minor_version_ == 1;
  how.until_close = !how.chunked;
  queue(serialize_head(head, how));
}

void Connection::write_stream(uint64_t exchange, std::string bytes) {
  if (!current(exchange) || !streaming_ || bytes.empty()) return;
  // What is left from before counts: one event may be larger than the bound.
  if (out_.size() + in_flight_.size() - written_ > limits().max_stream_buffer) {
    code_ = "slow_client";
    return close();
  }
  queue_chunk(bytes);
}

void Connection::finish_stream(uint64_t exchange) {
  if (!current(exchange) || !streaming_) return;
  if (minor_version_ == 1) queue("0\r\n\r\n");
  answer_complete();
}

void Connection::queue_chunk(std::string_view bytes) {
  if (minor_version_ == 0) return queue(std::string(bytes));
  char size[20];
  std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
  std::string chunk = size;
  queue(std::move(chunk.append(bytes).append("\r\n")));
}

void Connection::answer_complete() {
  answer_complete_ = true;
  if (const auto exchange = exchange_.lock()) exchange->complete();
  exchange_.reset();
  if (!writing_ && out_.empty()) after_answer();
}

void Connection::queue(std::string bytes) {
  bytes_out_ += bytes.size();
  if (out_.empty())
    out_ = std::move(bytes);
  else
    out_ += bytes;
  last_write_ = writing_ ? last_write_ : Clock::now();
  flush();
}

// One write at a time; whatever was queued meanwhile goes out with the next.
void Connection::flush() {
  if (writing_ || (out_.empty() && in_flight_.empty()) || state_ == State::kClosed) return;
  if (in_flight_.empty()) {
    in_flight_.swap(out_);
    written_ = 0;
  }
  writing_ = true;
  socket_.async_write_some(
      asio::buffer(in_flight_.data() + written_, in_flight_.size() - written_),
      [self = shared_from_this()](const ErrorCodeT& error, size_t size) { self->on_written(error, size); });
}

void Connection::on_written(const ErrorCodeT& error, size_t size) {
  writing_ = false;
  if (state_ == State::kClosed) return;
  if (error) return close();
  last_write_ = Clock::now();
  written_ += size;
  if (written_ == in_flight_.size()) {
    in_flight_.clear();
    written_ = 0;
  }
  flush();
  if (!writing_ && answer_complete_) after_answer();
}

// The answer has been handed to the kernel.
void Connection::after_answer() {
  log(status_, code_);
  answer_complete_ = streaming_ = false;
  status_ = 0;
  bytes_out_ = 0;
  code_.clear();
  request_id_.clear();
  method_ = path_ = "-";
  head_only_ = false;
  arrived_ = {};
  if (!keep_alive_ || input_ended_ || context_->draining) return linger();
  state_ = State::kIdle;
  deadline_ = Clock::now() + limits().idle_timeout;
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

void Connection::close() {
  if (state_ == State::kClosed) return;
  if (state_ == State::kHandling && request_id_ != "") log(499, code_);
  state_ = State::kClosed;
  const auto self = shared_from_this();  // remove() may drop the last other reference
  ErrorCodeT ignored;
  socket_.close(ignored);
  if (const auto exchange = exchange_.lock()) exchange->disconnected();
  exchange_.reset();
  loop_->remove(this);
}

void Connection::log(int status, const std::string& code) {
  if (!context_->on_request) return;
  const double seconds = std::chrono::duration<double>(Clock::now() - arrived_).count();
  context_->on_request({method_, path_, request_id_, client_, status, code, seconds, bytes_out_});
}

// --- time
// ------------------------------------------------------------------------------------------------------------------------

void Connection::tick(Clock::time_point now) {
  if (writing_ && now - last_write_ > limits().write_stall_timeout) {
    code_ = "write_stall";
    return close();
  }
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
      if (streaming_ && !answer_complete_ && !writing_ && !heartbeat_.empty() && now - last_write_ > limits().heartbeat)
        queue_chunk(heartbeat_);
      return;
    case State::kClosed:
      return;
  }
}

void Connection::drain() {
  keep_alive_ = false;
  if (state_ == State::kIdle) close();
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
