// Decides whether the bytes of a request head have exactly one meaning, before anything else looks at them: no released
// Boost.Beast up to 1.91 refuses every ambiguous framing (a Transfer-Encoding that does not end in chunked is read as
// "no body", and the body as the next request). A head that passes has one request line, one length, one host, plain
// CRLF lines and a path that means one thing. Pure: bytes in, verdict out. After a refusal the connection must be
// closed.
#pragma once

#include <optional>
#include <string_view>

#include "server/api/errors.h"
#include "server/http/limits.h"
#include "server/http/request.h"

namespace qwen {

// `raw` is the head with its final empty line. Fills `head` where it returns nothing.
std::optional<ApiError> check_head(std::string_view raw, const HttpLimits& limits, RequestHead& head);

// What can be said about a head of which only the beginning has come: garbage, a bare LF, more bytes than allowed. The
// first `checked` bytes have passed before.
std::optional<ApiError> check_partial_head(std::string_view raw, const HttpLimits& limits, size_t checked = 0);

}  // namespace qwen
