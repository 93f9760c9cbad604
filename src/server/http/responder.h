// How a handler answers one request: either send(), or begin_stream() · write()… · finish(). Every call may come from
// any thread and is carried out, in order, on the I/O thread of the connection; none waits for the client. Calls after
// the end, or after the client went away, do nothing. A request whose last Responder reference goes away unanswered is
// answered 500.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "server/http/response.h"

namespace qwen {

// What a request's answers took, all together; for the access log.
struct TokenCount {
  int64_t prompt = 0, completion = 0;  // computed for it
  int64_t cached = 0;                  // both, of answers out of the response cache
  std::string_view cache = {};         // where they came from it: "hit", "joined"; "partial": some did
};

class Responder {
 public:
  virtual ~Responder() = default;

  virtual void send(Response response) = 0;

  // `head` has no body; `heartbeat` is sent whenever the stream was silent for HttpLimits::heartbeat.
  virtual void begin_stream(Response head, std::string heartbeat) = 0;
  virtual void write(std::string bytes) = 0;
  // `code`: of the error that the stream ended with, for logs and figures; empty where it ended well.
  virtual void finish(std::string code = {}) = 0;

  // Before the end, where the answer was generated.
  virtual void count_tokens(TokenCount) {}

  // Runs `task` on the connection's I/O thread; dropped once the server has stopped.
  virtual void post(std::function<void()> task) = 0;
  // The same within a few milliseconds, with whatever else comes until then: for what may come thousands of times a
  // second.
  virtual void post_soon(std::function<void()> task) = 0;

  // `callback` runs once, on the I/O thread, if the client goes away (or is cut off for not reading) before the answer
  // is complete; at once if it already has. It may own what computes the answer: it is dropped as soon as the answer is
  // complete.
  virtual void on_disconnect(std::function<void()> callback) = 0;
  virtual bool client_gone() const = 0;
};

using ResponderPtr = std::shared_ptr<Responder>;

}  // namespace qwen
