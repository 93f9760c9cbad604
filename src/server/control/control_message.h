// Control requests as worker processes send them to each other: one datagram for a question, one for its answer, both
// of one fixed size. Invariant: decode() gives nothing but what encode() could have made, whatever the bytes are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "server/control/control_request.h"

namespace qwen {

struct ControlMessage {
  enum class Kind : uint32_t { kQuestion, kAnswer };
  Kind kind = Kind::kQuestion;
  int from = 0;         // the sender's place
  uint64_t ticket = 0;  // of the question, chosen by who asks; an answer repeats it
  ControlRequest request;
  ControlOutcome outcome;  // of an answer
};

inline constexpr size_t kMaxControlText = 64;  // an id, a key's name: both are bounded so where they come from

std::string encode(const ControlMessage& message);
std::optional<ControlMessage> decode(std::string_view bytes);  // nullopt: it is none

}  // namespace qwen
