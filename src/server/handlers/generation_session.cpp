#include "server/handlers/generation_session.h"

#include <atomic>
#include <optional>

#include "base/log.h"
#include "server/access/token_account.h"
#include "server/api/errors.h"
#include "server/http/io_loop.h"
#include "server/http/request.h"
#include "server/http/sse_writer.h"

namespace qwen {
namespace {

using Clock = std::chrono::steady_clock;

// Of a stored answer that is asked for whole: what comes after has its wake-up, and others theirs in between.
constexpr int kTurnsAtOnce = 64;

// The queue is as long as a request may wait: who comes back at once only makes it longer.
constexpr int kQueueRetrySeconds = 10;

// An end that is no answer.
std::optional<ApiError> failure(const Completion& completion, const std::string& request_id) {
  switch (completion.finish_reason) {
    case FinishReason::kError:
      log_error("request ", request_id, " failed in the engine: ", completion.error);
      return ApiError{
          .status = 500, .code = "internal_error", .message = "the generation failed; request id " + request_id};
    case FinishReason::kCancelled:
      if (completion.cancelled) return std::nullopt;
      return ApiError{
          .status = 503, .code = "draining", .message = "the service is shutting down", .retry_after_seconds = 1};
    case FinishReason::kDeadline:
      if (completion.usage.completion_tokens > 0) return std::nullopt;  // what there is, is given
      return ApiError{
          .status = 504, .code = "deadline_exceeded", .message = "the deadline passed before the first token"};
    case FinishReason::kQueueTimeout:
      return ApiError{.status = 503,
                      .code = "server_overloaded",
                      .message = "the request waited too long for its turn; try again later",
                      .retry_after_seconds = kQueueRetrySeconds};
    default:
      return std::nullopt;
  }
}

// X-Cache, where there is a cache: what came from it for all streams together.
void add_cache_header(Response& response, const TextStreams& streams) {
  CacheResult result = CacheResult::kOff;
  for (const auto& stream : streams) {
    const CacheResult one = stream->cache_result() == CacheResult::kJoined ? CacheResult::kHit : stream->cache_result();
    result = result == CacheResult::kOff || result == one ? one : CacheResult::kMiss;
  }
  if (result != CacheResult::kOff) response.headers.push_back({"X-Cache", std::string(cache_result_name(result))});
}

}  // namespace

// Shared with the engine thread, which must neither keep a session alive nor be the one to end it.
struct GenerationSession::Waker {
  explicit Waker(ResponderPtr to) : responder(std::move(to)) {}
  const ResponderPtr responder;
  std::atomic<bool> pending{false};               // a wake-up is on its way already
  std::atomic<Clock::time_point> drained_at{{}};  // the last one's time
  std::weak_ptr<GenerationSession> session;       // I/O thread only
};

GenerationSession::GenerationSession(ResponderPtr responder, std::unique_ptr<AnswerFormat> format, bool stream,
                                     Request& request)
    : responder_(std::move(responder)),
      format_(std::move(format)),
      stream_(stream),
      request_id_(request.request_id),
      body_reservation_(std::move(request.body_reservation)),
      account_(std::move(request.account)),
      waker_(std::make_shared<Waker>(responder_)) {}

std::shared_ptr<GenerationSession> GenerationSession::create(ResponderPtr responder,
                                                             std::unique_ptr<AnswerFormat> format, bool stream,
                                                             Request& request, RunningRequests* running) {
  const std::shared_ptr<GenerationSession> session(
      new GenerationSession(std::move(responder), std::move(format), stream, request));
  if (running != nullptr) session->place_ = running->enter(session->request_id_, request.key_name, session);
  return session;
}

std::function<void()> GenerationSession::on_events() const {
  return [waker = waker_] {
    if (waker->pending.exchange(true)) return;
    const auto drain = [waker] {
      waker->drained_at.store(Clock::now(), std::memory_order_relaxed);
      waker->pending = false;  // before looking: what comes later wakes again
      if (const auto session = waker->session.lock()) session->drain();
    };
    // A token leaves at once, but a model that speaks faster than anyone reads must not spend itself on packets.
    const bool at_once = Clock::now() - waker->drained_at.load(std::memory_order_relaxed) >= IoLoop::kPace;
    at_once ? waker->responder->post(drain) : waker->responder->post_soon(drain);
  };
}

void GenerationSession::run(TextStreams streams) {
  // std::function wants to be copied, a vector of streams does not.
  const auto shared = std::make_shared<TextStreams>(std::move(streams));
  responder_->post([self = shared_from_this(), shared] { self->begin(std::move(*shared)); });
}

void GenerationSession::begin(TextStreams streams) {
  if (responder_->client_gone()) return;
  begun_ = true;
  streams_ = std::move(streams);
  finished_.assign(streams_.size(), false);
  waker_->session = weak_from_this();
  responder_->on_disconnect([self = shared_from_this()] {
    self->end();
    self->streams_.clear();
  });
  if (stream_) {
    Response head = sse_head();
    add_cache_header(head, streams_);
    responder_->begin_stream(std::move(head), std::string(kSseHeartbeat));
    std::string out;
    format_->open(out);
    responder_->write(std::move(out));
  }
  drain();
}

void GenerationSession::control(ControlAction action, std::shared_ptr<ControlTally> tally) {
  responder_->post([session = weak_from_this(), action, tally = std::move(tally)] {
    if (const auto alive = session.lock()) tally->add(alive->carry_out(action));
  });
}

// What has come until now comes first: it may have ended the request, or its thought.
ControlOutcome GenerationSession::carry_out(ControlAction action) {
  if (begun_) drain();
  ControlOutcome outcome;
  if (ended_) return outcome;
  outcome.requests = 1;
  outcome.beginning = begun_ ? 0 : 1;
  // Of several with one thought in the response cache each has to ask before it counts.
  if (action == ControlAction::kFinishThought)
    for (const auto& stream : streams_) stream->finish_thought();
  for (size_t i = 0; i < streams_.size(); ++i) {
    TextStream& stream = *streams_[i];
    outcome.completion_tokens += stream.completion().usage.completion_tokens;
    outcome.reasoning_tokens += stream.reasoning_tokens();
    if (finished_[i]) {
      ++outcome.ended;
      continue;
    }
    ++(stream.completion().usage.completion_tokens == 0 ? outcome.queued
       : stream.in_thought()                            ? outcome.thinking
                                                        : outcome.answering);
    if (action == ControlAction::kCancel) {
      stream.cancel();
      ++outcome.affected;
    } else if (action == ControlAction::kFinishThought) {
      const ThoughtFinish result = stream.finish_thought();
      outcome.affected += result == ThoughtFinish::kFinishing ? 1 : 0;
      outcome.shared += result == ThoughtFinish::kShared ? 1 : 0;
    }
  }
  if (begun_ && action == ControlAction::kCancel) drain();
  return outcome;
}

void GenerationSession::drain() {
  if (!begun_ || ended_) return;
  const auto self = shared_from_this();  // a write that cuts the client off drops what else holds this
  try {
    drain_streams();
  } catch (...) {
    fail(to_api_error(std::current_exception(), request_id_), {});
  }
}

void GenerationSession::drain_streams() {
  std::string out;
  for (size_t i = 0; i < streams_.size(); ++i) {
    if (finished_[i]) continue;
    TextStream& stream = *streams_[i];
    if (!stream_) {
      for (int turn = 0; turn < kTurnsAtOnce && stream.poll(); ++turn) {
      }
    } else if (const auto delta = stream.poll()) {
      format_->delta(out, i, *delta);
    }
    if (!stream.finished()) continue;
    const auto error = failure(stream.completion(), request_id_);
    if (error && !format_->keeps_failure(i, *error)) {
      charge();
      return fail(*error, std::move(out));
    }
    finished_[i] = true;
    ++num_finished_;
    if (stream_) format_->finished(out, i, stream.completion());
  }
  charge();
  if (num_finished_ == streams_.size()) {
    count_tokens();
    return complete(std::move(out));
  }
  if (!out.empty()) responder_->write(std::move(out));
}

// Several answers to one prompt count it each time: each generation has it in its cache.
void GenerationSession::count_tokens() const {
  TokenCount tokens;
  size_t cached = 0, joined = 0;
  for (const auto& stream : streams_) {
    const Completion& completion = stream->completion();
    if (completion.cached && stream->computed_tokens() == 0) {
      ++cached;
      joined += stream->cache_result() == CacheResult::kJoined ? 1 : 0;
      tokens.cached += completion.usage.prompt_tokens + completion.usage.completion_tokens;
    } else {
      tokens.prompt += completion.usage.prompt_tokens;
      tokens.completion += completion.usage.completion_tokens;
    }
  }
  if (cached > 0) tokens.cache = cached < streams_.size() ? "partial" : joined > 0 ? "joined" : "hit";
  responder_->count_tokens(tokens);
}

// Prompt and new tokens of every answer, as they are computed: also of one that is given up half-way, and not what came
// from the response cache.
void GenerationSession::charge() {
  if (!account_) return;
  int64_t used = 0;
  for (const auto& stream : streams_) used += stream->computed_tokens();
  account_->charge(used - charged_);
  charged_ = used;
}

void GenerationSession::complete(std::string out) {
  end();
  if (!stream_) {
    Response response{.body = format_->whole(streams_)};
    add_cache_header(response, streams_);
    return responder_->send(std::move(response));
  }
  format_->close(out, streams_);
  out += kSseDone;
  responder_->write(std::move(out));
  responder_->finish();
}

void GenerationSession::fail(const ApiError& error, std::string out) {
  end();
  streams_.clear();
  if (!stream_) return responder_->send(error_response(error));
  append_sse_event(out, error_json(error));
  out += kSseDone;
  responder_->write(std::move(out));
  responder_->finish(error.code);
}

}  // namespace qwen
