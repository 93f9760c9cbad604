// Which pages of other origins a browser lets speak with the service. Off until origins are configured. Credentials are
// never allowed: a key is sent by the page itself, not by the browser, so no page can use another's.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/http/headers.h"

namespace qwen {

class Cors {
 public:
  Cors() = default;                                 // off
  explicit Cors(std::vector<std::string> origins);  // as check_origin takes them; "*" is everybody

  // Of every answer to a request with these headers. The client's words are compared and never repeated.
  Headers headers(const Headers& request) const;
  // The same for a preflight (OPTIONS with Access-Control-Request-Method), besides headers(); `methods`: of the route.
  Headers preflight(const Headers& request, std::string_view methods) const;

 private:
  const std::string* allowed(const Headers& request) const;  // null: not

  std::vector<std::string> origins_;
};

// scheme://host[:port] in small letters, http or https, or "*".
bool is_origin(std::string_view text);

}  // namespace qwen
