// Server-sent events. An event is one line of JSON, so it never holds a line break of its own.
#pragma once

#include <string>
#include <string_view>

#include "server/http/response.h"

namespace qwen {

inline constexpr std::string_view kSseHeartbeat = ": keep-alive\n\n";
inline constexpr std::string_view kSseDone = "data: [DONE]\n\n";

inline void append_sse_event(std::string& out, std::string_view json) {
  out.append("data: ").append(json).append("\n\n");
}

// X-Accel-Buffering keeps nginx from collecting events before it passes them on.
inline Response sse_head() {
  return {.status = 200,
          .content_type = "text/event-stream",
          .body = {},
          .headers = {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}},
          .code = {}};
}

}  // namespace qwen
