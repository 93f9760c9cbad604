// The smallest HTTP client: one GET over a plain TCP connection, of which only the status is wanted.
#pragma once

#include <string>

namespace qwen {

// `url`: http://HOST[:PORT][/PATH], HOST also as [IPv6]. Errors: kUsage for another URL, kFailed when nobody answers in
// time.
int http_get_status(const std::string& url, int timeout_seconds);

}  // namespace qwen
