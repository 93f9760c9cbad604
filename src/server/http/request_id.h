// The id that names a request in its answer's X-Request-Id, in logs and in errors.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace qwen {

// 1…64 characters of [A-Za-z0-9._-].
bool valid_request_id(std::string_view id);

// The caller's where it is valid; anything else could forge log lines or headers and is replaced by ours, which nobody
// can guess: who knows it may control the request.
std::string request_id_or_new(std::string_view from_client);

// Ours begin with "req-w<worker>-" from here on, in a service of several processes; to be said before the first one.
void name_worker_in_request_ids(int worker);
// The worker that an id of this form names, whoever made it.
std::optional<int> worker_of_request_id(std::string_view id);

// The value of X-Request-Id in a request head, of which the end may be missing and whatever else may be wrong: also
// who is refused gets his id back. Empty where there is none, or more than one.
std::string_view callers_request_id(std::string_view head);

// `digits` hexadecimal digits (at most 32) from the system's source of randomness: also who has seen others cannot
// guess them. Errors: kOs.
std::string random_hex(int digits);

}  // namespace qwen
