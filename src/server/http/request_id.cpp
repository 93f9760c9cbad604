#include "server/http/request_id.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/hex.h"
#include "server/http/headers.h"

namespace qwen {

namespace {

constexpr std::string_view kWorkerPrefix = "req-w";
std::string prefix = "req-";  // changed before there are threads

}  // namespace

void name_worker_in_request_ids(int worker) { prefix = str(kWorkerPrefix, worker, '-'); }

std::optional<int> worker_of_request_id(std::string_view id) {
  if (!id.starts_with(kWorkerPrefix)) return std::nullopt;
  id.remove_prefix(kWorkerPrefix.size());
  int worker = 0;
  const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), worker);
  const bool whole = error == std::errc() && end != id.data() + id.size() && *end == '-' && worker >= 0;
  return whole ? std::optional(worker) : std::nullopt;
}

std::string random_hex(int digits) {
  std::array<uint64_t, 2> bits{};
  while (::getrandom(bits.data(), sizeof bits, 0) != static_cast<ssize_t>(sizeof bits))
    if (errno != EINTR) throw Error(ErrorCode::kOs, str("no random numbers: ", std::strerror(errno)));
  return (to_hex(bits[0]) + to_hex(bits[1])).substr(0, static_cast<size_t>(std::clamp(digits, 0, 32)));
}

bool valid_request_id(std::string_view id) {
  const auto valid = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  };
  return !id.empty() && id.size() <= 64 && std::all_of(id.begin(), id.end(), valid);
}

std::string request_id_or_new(std::string_view from_client) {
  return valid_request_id(from_client) ? std::string(from_client) : prefix + random_hex(24);
}

std::string_view callers_request_id(std::string_view head) {
  std::string_view id;
  bool found = false;
  for (size_t end = head.find("\r\n"); end != std::string_view::npos && end > 0; end = head.find("\r\n")) {
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(end + 2);
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || !iequals(line.substr(0, colon), "x-request-id")) continue;
    if (std::exchange(found, true)) return {};
    id = trim_spaces(line.substr(colon + 1));
  }
  return id;
}

}  // namespace qwen
