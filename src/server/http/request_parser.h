// Bytes of one connection → requests, one after the other, the same ones however the bytes were cut. The head goes
// through the framing guard and then through Boost.Beast's parser; only a head on which both agree comes out. No
// sockets: whoever has bytes calls it.
//   loop: parse_head(buffer) → kHead: look at head(), begin_body(limit) → parse_body(buffer) → kComplete: take_body(),
//   reset()
// Each step removes what it used from the front of `buffer`. After kError the connection must be closed.
#pragma once

#include <optional>
#include <string>

#include "server/http/chunked_body.h"
#include "server/http/framing_guard.h"
#include "server/http/request_id.h"

namespace qwen {

class RequestParser {
 public:
  enum class Step { kNeedMore, kHead, kComplete, kError };

  explicit RequestParser(const HttpLimits& limits);

  Step parse_head(std::string& buffer);
  Step begin_body(size_t max_body_bytes);
  Step parse_body(std::string& buffer);
  void reset();

  RequestHead& head() { return head_; }
  // Of the head that was or is being parsed from `buffer`, also of one that is refused.
  std::string_view request_id(std::string_view buffer) const {
    return callers_request_id(raw_head_.empty() ? buffer : raw_head_);
  }
  size_t body_bytes() const { return body_.size(); }  // so far
  std::string take_body() { return std::move(body_); }
  const ApiError& error() const { return error_; }

 private:
  Step fail(ApiError error);

  const HttpLimits limits_;
  std::string raw_head_;
  RequestHead head_;
  std::optional<ChunkedBody> chunks_;  // of a chunked body
  std::string body_;
  ApiError error_;
  size_t scanned_ = 0;          // bytes of the buffer already searched for the end of the head
  bool skipped_blank_ = false;  // one empty line before the request line is allowed
};

}  // namespace qwen
