// What a request has to do with the response cache, and what came of it.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

namespace qwen {

struct Request;
struct ServiceConfig;

// What the look-ups in Redis of one request took, those of all its prompts and answers together. Used by one thread at
// a time.
struct LookUpTime {
  std::chrono::steady_clock::duration waited{0};
  int answered = 0;
};

struct CacheUse {
  bool enabled = false;
  // The client's Cache-Control: no-store clears both; no-cache and max-age=0 have the answer computed and stored anew.
  bool look_up = true, store = true;
  bool seed_given = false;                   // the draws are the client's choice, and so the same every time
  bool random_too = false;                   // also answers whose draws nobody chose are given to others
  std::string salt;                          // of the key: answers are shared by requests with the same one
  std::shared_ptr<LookUpTime> look_up_time;  // shared by the parts of a request of several prompts; null: its own
};

// `seed_given`: by the request. Answers are kept apart by the credential that a request shows, also where none is asked
// for, unless the configuration shares them: how fast an answer comes tells that somebody asked before.
CacheUse cache_use(const Request& request, bool seed_given, const ServiceConfig& config);

enum class CacheResult { kOff, kBypass, kMiss, kHit, kJoined };  // kJoined: read along with an equal request
// The value of X-Cache: BYPASS, MISS, HIT (kJoined, too); empty for kOff.
std::string_view cache_result_name(CacheResult result);

}  // namespace qwen
