// The smallest HTTP client: one GET over TCP or TLS, of which only the status is wanted. Whose certificate it is is not
// checked: the question is whether a service answers, nothing secret is sent, and what a stranger would answer harms
// nobody.
#pragma once

#include <string>

namespace qwen {

// `url`: http:// or https://HOST[:PORT][/PATH], HOST also as [IPv6]. Errors: kUsage for another URL, kFailed when
// nobody answers in time.
int http_get_status(const std::string& url, int timeout_seconds);

}  // namespace qwen
