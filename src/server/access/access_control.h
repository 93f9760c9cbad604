// Who may call a route, decided on the head alone, before a byte of the body is read, and by the very row of the route
// table that will be called. Without keys everybody may; with keys nobody may what his key does not allow, except on
// routes that are open by their row. Invariant: no answer says whether a key was missing, wrong or revoked, nor
// anything that the client sent.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/access/api_key.h"
#include "server/access/key_digest.h"
#include "server/access/token_account.h"
#include "server/api/errors.h"
#include "server/http/access.h"
#include "server/http/request.h"

namespace qwen {

struct AccessSettings {
  ApiKeys keys;
  int requests_per_minute = 0, tokens_per_minute = 0;  // of keys that do not say; 0 = no limit
  bool page_open = true, metrics_open = false;         // without a key
  bool keys_required = false;                          // without keys nobody is let in, not everybody
};

// The scope that a key needs for a route that is not open.
std::string_view scope_name(Access access);

class AccessControl {
 public:
  AccessControl(const AccessSettings& settings, std::shared_ptr<RateStore> rates);

  struct Verdict {
    std::optional<ApiError> refused;
    std::string key_name;                         // whose request it is; empty where no key was asked for
    bool admin = false;                           // the key has that scope
    std::shared_ptr<const TokenAccount> account;  // null: tokens are not counted
    Headers headers;                              // of the answer, whatever it says: what is left of the rates
  };
  Verdict judge(const RequestHead& head, Access access) const;  // any thread

  // From the next request on; those under way go on. Where keys were asked for and there are none left, nobody is let
  // in: a file that was emptied by mistake opens nothing. True: that is so.
  bool set(const AccessSettings& settings);

  bool open() const { return rules()->open; }  // to everybody

 private:
  struct Caller;
  struct Rules {
    AccessSettings settings;
    bool open = true;
    std::vector<KeyDigest> digests;
    std::vector<Caller> callers;  // by place in `digests`
  };
  std::shared_ptr<const Rules> make_rules(const AccessSettings& settings, bool open) const;
  std::shared_ptr<const Rules> rules() const;

  const std::shared_ptr<RateStore> rates_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Rules> rules_;  // guarded by mutex_
};

}  // namespace qwen
