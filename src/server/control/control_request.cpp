#include "server/control/control_request.h"

namespace qwen {

void ControlOutcome::add(const ControlOutcome& other) {
  requests += other.requests;
  beginning += other.beginning;
  queued += other.queued;
  thinking += other.thinking;
  answering += other.answering;
  ended += other.ended;
  affected += other.affected;
  shared += other.shared;
  silent += other.silent;
  completion_tokens += other.completion_tokens;
  reasoning_tokens += other.reasoning_tokens;
}

}  // namespace qwen
