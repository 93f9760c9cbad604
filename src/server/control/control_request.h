// A control request and what came of it: a client's word on a request of his that is under way. Plain data, which also
// goes from one worker process to another (control_message.h).
#pragma once

#include <cstdint>
#include <string>

namespace qwen {

enum class ControlAction : uint32_t {
  kTell,           // how far it is
  kFinishThought,  // "answer now": thoughts under way are closed at the next token
  kCancel,         // it ends with what has come
};

struct ControlRequest {
  ControlAction action = ControlAction::kTell;
  std::string id;        // as X-Request-Id says it
  std::string key_name;  // of who asks; empty where no key was asked for. Requests of other keys do not exist for him,
  bool admin = false;    // unless he is an administrator
};

// Sums over all requests that were meant: a caller may give two of them one id.
struct ControlOutcome {
  int32_t requests = 0;
  int32_t beginning = 0;  // of them, whose prompts are not read yet: nothing was done
  // Generations: a request has one for each prompt and answer.
  int32_t queued = 0, thinking = 0, answering = 0, ended = 0;
  int32_t affected = 0;  // ended, or their thoughts closed, by this control request
  int32_t shared = 0;    // whose thoughts others read, too, so that they go on
  int32_t silent = 0;    // worker processes that did not say in time whether they know the id
  int64_t completion_tokens = 0, reasoning_tokens = 0;

  int32_t generations() const { return queued + thinking + answering + ended; }
  void add(const ControlOutcome& other);
};

}  // namespace qwen
