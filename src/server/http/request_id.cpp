#include "server/http/request_id.h"

#include <algorithm>
#include <random>
#include <utility>

#include "base/hex.h"
#include "server/http/headers.h"

namespace qwen {

namespace {
std::string prefix = "req-";  // changed before there are threads
}

void name_worker_in_request_ids(int worker) { prefix = "req-w" + std::to_string(worker) + '-'; }

std::string random_hex(int digits) {
  thread_local std::mt19937_64 generator{[] {
    std::random_device device;
    return static_cast<uint64_t>(device()) << 32 | device();
  }()};
  return (to_hex(generator()) + to_hex(generator())).substr(0, static_cast<size_t>(std::clamp(digits, 0, 32)));
}

std::string request_id_or_new(std::string_view from_client) {
  const auto valid = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  };
  if (!from_client.empty() && from_client.size() <= 64 && std::all_of(from_client.begin(), from_client.end(), valid))
    return std::string(from_client);
  return prefix + random_hex(24);
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
