#include "server/http/connection.h"

#include <cstdio>

#include "base/log.h"
#include "server/api/errors.h"
#include "server/http/client_connection.h"
#include "server/http/request_id.h"

namespace qwen {
namespace {

ApiError too_much_held() {
  return overloaded("too many large requests and answers are under way; try again later", Shortage::kMemory);
}

}  // namespace

Connection::Connection(std::shared_ptr<IoLoop> loop, std::unique_ptr<ClientSocket> socket, std::string client,
                       std::shared_ptr<ConnectionContext> context)
    : loop_(std::move(loop)),
      context_(std::move(context)),
      client_(std::move(client)),
      socket_(std::move(socket)),
      parser_(context_->limits) {}

void Connection::start() {
  waiting_since_ = Clock::now();
  deadline_ = waiting_since_ + limits().header_timeout;
  loop_->add(shared_from_this());
  if (!socket_->needs_handshake()) return read();
  state_ = State::kHandshake;
  socket_->open(shared_from_this());
}

void Connection::on_open(IoResult result) {
  guarded([&] {
    if (state_ != State::kHandshake) return;
    if (result != IoResult::kDone) {
      ++context_->failed_handshakes;
      return close();
    }
    state_ = State::kIdle;
    waiting_since_ = Clock::now();
    deadline_ = waiting_since_ + (context_->draining ? limits().drain_first_request : limits().header_timeout);
    read();
  });
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

void Connection::on_read(IoResult result, size_t size) {
  guarded([&] { take_input(result, size); });
}

void Connection::take_input(IoResult result, size_t size) {
  if (state_ == State::kClosed) return;
  if (result == IoResult::kEnd) return on_end_of_input();
  if (result == IoResult::kFailed) return close();
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
  keep_alive_ = head.keep_alive && context_->keeps_alive && !context_->draining;
  record_.request_id = request_id_or_new(parser_.request_id(in_));
  if (!context_->proxies.empty()) record_.client = context_->proxies.client(client_, head.headers);
  admission_ = admit(head, {context_->routes, context_->access.get(), &context_->cors});
  record_.key_name = admission_.key_name;
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
                  .client = record_.client.empty() ? client_ : record_.client,
                  .arrived = arrived_,
                  .body_reservation = std::move(held_),
                  .key_name = record_.key_name,
                  .admin = admission_.admin,
                  .account = std::move(admission_.account)};
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
    add_admission_headers(response);
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
    add_admission_headers(head);
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
  socket_->write(bytes, shared_from_this());
}

void Connection::on_written(IoResult result, size_t size) {
  guarded([&] {
    writing_ = false;
    if (state_ == State::kClosed) return;
    if (result != IoResult::kDone) return close();
    last_write_ = Clock::now();
    out_.consume(size);
    flush();
    if (!writing_ && answer_complete_) after_answer();
  });
}

// The answer has been handed to the kernel.
void Connection::after_answer() {
  log();
  answer_complete_ = false;
  stream_closed();
  held_.reset();
  record_ = {};
  admission_ = {};
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
  socket_->end_output(shared_from_this());
}

// A request that is under way is logged with this status and code, whatever its answer began with.
void Connection::close(int status, std::string_view code) {
  if (state_ == State::kClosed) return;
  const auto self = shared_from_this();  // remove() may drop the last other reference
  state_ = State::kClosed;
  stream_closed();
  socket_->close();
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
  if (record_.client.empty()) record_.client = client_;
  record_.seconds = std::chrono::duration<double>(Clock::now() - arrived_).count();
  context_->on_request(record_);
}

// --- time ------------------------------------------------------------------------------------------------------------

void Connection::tick(Clock::time_point now) {
  if (out_.stalled(now, limits().write_stall_timeout)) return close(kClientGone, kWriteStall);
  switch (state_) {
    case State::kHandshake:
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

std::optional<Connection::Clock::time_point> Connection::waiting_since() const {
  const bool waiting = state_ == State::kHandshake || state_ == State::kIdle || state_ == State::kHead;
  return waiting ? std::optional(waiting_since_) : std::nullopt;
}

// Who has just connected is about to send a request, and may have no way to repeat it; who has had answers is told
// nothing new by the end of an idle connection.
void Connection::drain() {
  keep_alive_ = false;
  if (state_ != State::kIdle && state_ != State::kHandshake) return;
  if (number_ > 0) return close();
  deadline_ = std::min(deadline_, Clock::now() + limits().drain_first_request);
}

void serve_connection(std::shared_ptr<IoLoop> loop, int socket, bool ipv6, std::string client,
                      std::shared_ptr<ConnectionContext> context) {
  std::shared_ptr<Connection> connection;
  try {
    auto owned = make_client_socket(loop->context(), socket, ipv6, context->tls.get());
    connection = std::make_shared<Connection>(std::move(loop), std::move(owned), client, context);
  } catch (const std::exception&) {
    context->count.release(client);
    return;
  }
  connection->start();
}

}  // namespace qwen
