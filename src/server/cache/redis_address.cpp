#include "server/cache/redis_address.h"

#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/error.h"

namespace qwen {
namespace {

constexpr std::string_view kTcp = "redis://", kUnix = "unix://";

[[noreturn]] void refuse(const std::string& problem) {
  throw Error(
      ErrorCode::kConfig,
      problem + "; write redis://[user:password@]host[:port][/database] or unix:///path/of/socket[?db=database]");
}

int number(std::string_view text, int low, int high, const char* what) {
  int value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || stop != text.data() + text.size() || value < low || value > high)
    refuse(str("the ", what, " must be a whole number from ", low, " to ", high));
  return value;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string percent_decoded(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded.push_back(text[i]);
      continue;
    }
    const int high = i + 1 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) refuse("user and password must be percent-encoded, % itself as %25");
    decoded.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return decoded;
}

struct Parts {
  std::string_view scheme;
  std::optional<std::string_view> login;  // before the last @
  std::string_view rest;
};

Parts split(std::string_view url) {
  Parts parts;
  parts.scheme = url.starts_with(kTcp) ? kTcp : url.starts_with(kUnix) ? kUnix : std::string_view();
  parts.rest = url.substr(parts.scheme.size());
  if (const size_t at = parts.rest.rfind('@'); at != std::string_view::npos) {
    parts.login = parts.rest.substr(0, at);
    parts.rest.remove_prefix(at + 1);
  }
  return parts;
}

void read_tcp(std::string_view rest, RedisOptions& options) {
  if (const size_t slash = rest.find('/'); slash != std::string_view::npos) {
    if (slash + 1 < rest.size()) options.database = number(rest.substr(slash + 1), 0, 65535, "database");
    rest = rest.substr(0, slash);
  }
  std::string_view host = rest, port;
  if (rest.starts_with('[')) {  // IPv6
    const size_t end = rest.find(']');
    if (end == std::string_view::npos) refuse("the address has no ]");
    host = rest.substr(1, end - 1);
    port = rest.substr(end + 1);
  } else if (const size_t colon = rest.find(':'); colon != std::string_view::npos) {
    host = rest.substr(0, colon);
    port = rest.substr(colon);
  }
  if (!port.empty()) {
    if (port.front() != ':') refuse("something follows the address");
    options.port = number(port.substr(1), 1, 65535, "port");
  }
  if (host.empty() || host.size() > 255) refuse("the host is missing");
  options.host = host;
}

void read_unix(std::string_view rest, RedisOptions& options) {
  if (const size_t question = rest.find('?'); question != std::string_view::npos) {
    const std::string_view query = rest.substr(question + 1);
    if (!query.starts_with("db=")) refuse("after ? only db= is known");
    options.database = number(query.substr(3), 0, 65535, "database");
    rest = rest.substr(0, question);
  }
  if (rest.empty() || rest.front() != '/' || rest.size() >= sizeof(sockaddr_un{}.sun_path))
    refuse("the path of the socket must begin with / and be shorter than 108 bytes");
  options.socket_path = rest;
}

}  // namespace

RedisOptions parse_redis_url(std::string_view url) {
  if (url.starts_with("rediss://")) refuse("TLS to Redis is not supported: let stunnel or a service mesh carry it");
  const Parts parts = split(url);
  if (parts.scheme.empty()) refuse("the address must begin with redis:// or unix://");
  for (const char c : url)
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f) refuse("the address holds a space or a control character");
  RedisOptions options;
  parts.scheme == kTcp ? read_tcp(parts.rest, options) : read_unix(parts.rest, options);
  if (parts.login) {
    const size_t colon = std::min(parts.login->find(':'), parts.login->size());
    options.user = percent_decoded(parts.login->substr(0, colon));
    if (colon < parts.login->size()) options.password = percent_decoded(parts.login->substr(colon + 1));
  }
  return options;
}

std::string masked_redis_url(std::string_view url) {
  const Parts parts = split(url);
  if (!parts.login) return std::string(url);
  const size_t colon = std::min(parts.login->find(':'), parts.login->size());
  // Without a known scheme nobody can say which part is a secret.
  if (parts.scheme.empty()) return "****";
  return str(parts.scheme, parts.login->substr(0, colon), ":****@", parts.rest);
}

std::string redis_place(const RedisOptions& options) {
  if (!options.socket_path.empty()) return options.socket_path;
  const bool v6 = options.host.find(':') != std::string::npos;
  return v6 ? str('[', options.host, "]:", options.port) : str(options.host, ':', options.port);
}

}  // namespace qwen
