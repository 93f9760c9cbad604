// The one table of the service: path, method, who may call, how large a body, and the handler. Whatever is not in it is
// a 404 (or a 405 that lists what is allowed).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/http/access.h"
#include "server/http/request.h"
#include "server/http/responder.h"

namespace qwen {

// Called on the I/O thread of the connection: must not block. What it throws becomes the error answer.
using Handler = std::function<void(Request, ResponderPtr)>;

// Whose requests they are, for whoever counts them: programs' and people's work; the page, figures about the service
// and words on work under way; probes and scrapes, which come by themselves, also while nothing is ready.
enum class Traffic { kApi, kPage, kProbe };

struct Route {
  std::string method;  // GET also answers HEAD
  // A trailing "/*" matches one or more further characters, slashes included; "/*/" in the middle those up to a slash.
  std::string path;
  Access access = Access::kAdmin;
  Handler handler;
  size_t max_body_bytes = 0;  // 0 = no body is read beyond a trifle
  Traffic traffic = Traffic::kApi;
};

class RouteTable {
 public:
  void add(Route route);

  struct Match {
    const Route* route = nullptr;  // null: not found, or found with other methods only
    std::string tail;              // what '*' matched
    std::string allowed;           // the path's methods, comma-separated; empty = no such path
  };
  Match find(std::string_view method, std::string_view path) const;

  const std::vector<Route>& routes() const { return routes_; }

 private:
  std::vector<Route> routes_;
};

class AccessControl;
class Cors;

// What a request is measured by; null: everybody may call everything, no other origin is allowed.
struct AdmissionRules {
  const RouteTable& routes;
  const AccessControl* access = nullptr;
  const Cors* cors = nullptr;
};

// The decision taken on the head alone, before any byte of the body is read.
struct Admission {
  const Route* route = nullptr;
  std::string path_tail;
  size_t max_body_bytes = 0;
  std::string key_name;                         // see AccessControl::Verdict
  bool admin = false;                           //
  std::shared_ptr<const TokenAccount> account;  //
  Headers headers;                              // of the answer, besides its own
  std::optional<Response> answer;               // set: this is the answer already (an error, or OPTIONS)
};
Admission admit(const RequestHead& head, const AdmissionRules& rules);

}  // namespace qwen
