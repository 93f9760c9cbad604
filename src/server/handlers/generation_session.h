// Carries the text of one request (one stream or several) from the engine to its client: as a stream of events while it
// comes, or as one answer at the end. Each wake-up from the engine is one task on the connection's I/O thread, which
// takes everything that has come. Invariant: a client that goes away drops the TextStreams, which frees their
// sequences.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "server/control/running_requests.h"
#include "server/http/responder.h"
#include "server/text_stream.h"

namespace qwen {

struct ApiError;
struct Request;
class TokenAccount;

// How a route words its answer. Called on the I/O thread.
class AnswerFormat {
 public:
  virtual ~AnswerFormat() = default;
  virtual std::string whole(const TextStreams& streams) = 0;  // the answer in one piece

  // Server-sent events, appended to `out`. [DONE] is not theirs to write.
  virtual void open(std::string& /*out*/) {}
  virtual void delta(std::string& out, size_t index, const TextDelta& delta) = 0;
  virtual void finished(std::string& /*out*/, size_t /*index*/, const Completion& /*completion*/) {
  }                                                                      // one of the streams
  virtual void close(std::string& out, const TextStreams& streams) = 0;  // all of them

  // A stream ended without an answer. True: the format keeps the error, to tell it in that stream's place, and the
  // others go on. False: the whole request fails.
  virtual bool keeps_failure(size_t /*index*/, const ApiError& /*error*/) { return false; }
};

class GenerationSession final : public RunningRequest, public std::enable_shared_from_this<GenerationSession> {
 public:
  // Takes over what the request holds of the memory for bodies: its format may keep the prompt's text to the end. It
  // can be controlled from here on, where `running` is not null.
  static std::shared_ptr<GenerationSession> create(ResponderPtr responder, std::unique_ptr<AnswerFormat> format,
                                                   bool stream, Request& request, RunningRequests* running);

  std::function<void()> on_events() const;  // for GenerationService::start
  void run(TextStreams streams);            // from any thread, once
  void control(ControlAction action, std::shared_ptr<ControlTally> tally) override;

 private:
  struct Waker;
  GenerationSession(ResponderPtr responder, std::unique_ptr<AnswerFormat> format, bool stream, Request& request);

  void begin(TextStreams streams);
  ControlOutcome carry_out(ControlAction action);
  void drain();
  void drain_streams();
  void charge();
  void fail(const ApiError& error, std::string out);
  void count_tokens() const;
  void complete(std::string out);
  void end() {
    ended_ = true;
    place_.reset();
  }

  const ResponderPtr responder_;
  const std::unique_ptr<AnswerFormat> format_;
  const bool stream_;
  const std::string request_id_;
  const std::shared_ptr<void> body_reservation_;
  const std::shared_ptr<const TokenAccount> account_;  // null: tokens are not counted
  const std::shared_ptr<Waker> waker_;

  RunningRequests::Place place_;

  TextStreams streams_;  // I/O thread only, as what follows
  std::vector<bool> finished_;
  size_t num_finished_ = 0;
  int64_t charged_ = 0;  // tokens
  bool begun_ = false, ended_ = false;
};

}  // namespace qwen
