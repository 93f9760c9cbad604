// The smallest HTTP client: one GET over TCP or TLS, of which the status and an error's message are wanted. Whose
// certificate it is is not checked: the question is whether a service answers, nothing secret is sent, and what a
// stranger would answer harms nobody.
#pragma once

#include <string>

namespace qwen {

struct HttpAnswer {
  int status = 0;
  std::string message;  // of a body {"error":{"message":…}}, cut; empty where there is none
};

// `url`: http:// or https://HOST[:PORT][/PATH], HOST also as [IPv6]. Errors: kUsage for another URL, kFailed when
// nobody answers in time.
HttpAnswer http_get(const std::string& url, int timeout_seconds);

}  // namespace qwen
