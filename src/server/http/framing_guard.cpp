#include "server/http/framing_guard.h"

#include <algorithm>
#include <array>

#include "base/utf8.h"
#include "server/http/target.h"

namespace qwen {
namespace {

constexpr size_t kMaxMethodBytes = 32;
constexpr size_t kMaxLengthDigits = 18;

bool is_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

ApiError refuse(int status, std::string message) {
  const char* code = status == 501   ? "not_implemented"
                     : status == 505 ? "http_version_not_supported"
                     : status == 414 ? "uri_too_long"
                     : status == 431 ? "header_too_large"
                     : status == 413 ? "request_too_large"
                     : status == 417 ? "expectation_failed"
                                     : "bad_request";
  return {.status = status, .code = code, .message = std::move(message)};
}

// Every line ends in CRLF; CR and LF stand nowhere else; no NUL. From `begin` on, whose predecessor may be a CR.
bool clean_line_ends(std::string_view raw, size_t begin) {
  for (size_t i = begin > 0 ? begin - 1 : 0; i < raw.size(); ++i) {
    if (raw[i] == '\0') return false;
    if (raw[i] == '\n' && (i == 0 || raw[i - 1] != '\r')) return false;
    if (raw[i] == '\r' && i + 1 < raw.size() && raw[i + 1] != '\n') return false;
  }
  return true;
}

std::string_view take_line(std::string_view& rest) {
  const size_t end = rest.find("\r\n");
  const std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end + 2);
  return line;
}

std::optional<ApiError> parse_request_line(std::string_view line, const HttpLimits& limits, RequestHead& head) {
  const size_t first = line.find(' '), last = line.rfind(' ');
  if (first == std::string_view::npos || first == last)
    return refuse(400, "the request line is not METHOD SP TARGET SP VERSION");
  const std::string_view method = line.substr(0, first), target = line.substr(first + 1, last - first - 1),
                         version = line.substr(last + 1);
  if (method.size() > kMaxMethodBytes || !is_token(method)) return refuse(400, "the method is not a token");
  if (target.size() > limits.max_target_bytes)
    return refuse(414, str("the target is longer than ", limits.max_target_bytes, " bytes"));
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    const bool well_formed = version.size() == 8 && version.substr(0, 5) == "HTTP/" &&
                             is_digits(version.substr(5, 1)) && version[6] == '.' && is_digits(version.substr(7));
    return well_formed ? refuse(505, "this server speaks HTTP/1.1 and HTTP/1.0")
                       : refuse(400, "the HTTP version is malformed");
  }
  head.method = method;
  head.minor_version = version.back() - '0';
  head.keep_alive = head.minor_version == 1;
  if (const char* problem = parse_target(target, method, head.path, head.query)) return refuse(400, problem);
  return std::nullopt;
}

// Names that decide about framing or identity: a proxy that maps '_' to '-' must not see another field than we do.
bool imitates_protected_name(std::string_view name) {
  static constexpr std::array<std::string_view, 9> kProtected = {
      "content-length", "transfer-encoding", "host",   "authorization", "x-api-key",
      "x-request-id",   "content-type",      "expect", "connection"};
  if (name.find('_') == std::string_view::npos) return false;
  std::string dashed(name);
  std::replace(dashed.begin(), dashed.end(), '_', '-');
  return std::any_of(kProtected.begin(), kProtected.end(), [&](std::string_view p) { return iequals(p, dashed); });
}

std::optional<ApiError> parse_field(std::string_view line, RequestHead& head) {
  if (line[0] == ' ' || line[0] == '\t') return refuse(400, "a header field is continued on a second line");
  const size_t colon = line.find(':');
  const std::string_view name = line.substr(0, colon);
  if (colon == std::string_view::npos || !is_token(name)) return refuse(400, "a header field has no valid name");
  if (imitates_protected_name(name)) return refuse(400, "a header field imitates a protected one with '_'");
  const std::string_view raw_value = line.substr(colon + 1);
  const bool has_control = std::any_of(raw_value.begin(), raw_value.end(), [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
  });
  if (has_control) return refuse(400, "a header value holds a control character");
  // A tab is white space to some and part of the value to others; where the body ends may not depend on it.
  if (iequals(name, "transfer-encoding") && raw_value.find('\t') != std::string_view::npos)
    return refuse(400, "Transfer-Encoding holds a tab");
  head.headers.push_back({std::string(name), std::string(trim_spaces(raw_value))});
  return std::nullopt;
}

bool valid_host(std::string_view host) {
  if (host.empty()) return false;
  size_t end = 0;
  if (host[0] == '[') {
    end = host.find(']');
    if (end == std::string_view::npos || end < 3) return false;
    const std::string_view inside = host.substr(1, end - 1);
    if (inside.find_first_not_of("0123456789abcdefABCDEF:.") != std::string_view::npos) return false;
    ++end;
  } else {
    end = std::min(host.find(':'), host.size());
    const auto valid = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
             c == '_';
    };
    if (end == 0 || !std::all_of(host.begin(), host.begin() + static_cast<std::ptrdiff_t>(end), valid)) return false;
  }
  if (end == host.size()) return true;
  return host[end] == ':' && host.size() - end <= 6 && is_digits(host.substr(end + 1));
}

std::optional<ApiError> check_transfer_encoding(RequestHead& head) {
  const auto value = find_header(head.headers, "transfer-encoding");
  if (!value) return std::nullopt;
  if (count_headers(head.headers, "transfer-encoding") > 1) return refuse(400, "Transfer-Encoding is given twice");
  if (head.minor_version == 0) return refuse(400, "Transfer-Encoding needs HTTP/1.1");
  if (find_header(head.headers, "content-length"))
    return refuse(400, "Transfer-Encoding and Content-Length are both given");
  if (!iequals(*value, "chunked"))
    return is_token(*value) ? refuse(501, "the only transfer coding is chunked")
                            : refuse(400, "Transfer-Encoding must be exactly chunked");
  head.chunked = true;
  return std::nullopt;
}

std::optional<ApiError> check_content_length(RequestHead& head) {
  const auto value = find_header(head.headers, "content-length");
  if (!value) return std::nullopt;
  if (count_headers(head.headers, "content-length") > 1) return refuse(400, "Content-Length is given twice");
  if (!is_digits(*value) || (value->size() > 1 && (*value)[0] == '0'))
    return refuse(400, "Content-Length is not a decimal number");
  if (value->size() > kMaxLengthDigits) return refuse(413, "the body is too large");
  head.content_length = std::stoull(std::string(*value));
  return std::nullopt;
}

std::optional<ApiError> check_connection(RequestHead& head) {
  for (const Header& header : head.headers) {
    if (!iequals(header.name, "connection")) continue;
    std::string_view rest = header.value;
    while (!rest.empty()) {
      const size_t comma = std::min(rest.find(','), rest.size());
      const std::string_view option = trim_spaces(rest.substr(0, comma));
      rest.remove_prefix(std::min(comma + 1, rest.size()));
      if (!option.empty() && !is_token(option)) return refuse(400, "Connection is not a list of tokens");
      if (iequals(option, "close")) {
        head.keep_alive = false;
        return std::nullopt;
      }
      if (iequals(option, "keep-alive")) head.keep_alive = true;
    }
  }
  return std::nullopt;
}

std::optional<ApiError> check_single_fields(const RequestHead& head) {
  const size_t hosts = count_headers(head.headers, "host");
  if (hosts > 1 || (hosts == 0 && head.minor_version == 1)) return refuse(400, "exactly one Host field is required");
  if (hosts == 1 && !valid_host(*find_header(head.headers, "host"))) return refuse(400, "Host is not host[:port]");
  for (const char* name : {"authorization", "content-type", "content-encoding", "expect"})
    if (count_headers(head.headers, name) > 1) return refuse(400, str(name, " is given twice"));
  return std::nullopt;
}

std::optional<ApiError> check_expect(RequestHead& head) {
  const auto value = find_header(head.headers, "expect");
  if (!value) return std::nullopt;
  if (!iequals(*value, "100-continue")) return refuse(417, "the only expectation is 100-continue");
  head.expect_continue = head.minor_version == 1 && head.has_body();
  return std::nullopt;
}

}  // namespace

std::optional<ApiError> check_partial_head(std::string_view raw, const HttpLimits& limits, size_t checked) {
  if (!raw.empty() && !is_token(raw.substr(0, 1)) && raw[0] != '\r') return refuse(400, "this is not an HTTP request");
  // Not past the limit: how much came at once may not decide what is said about it.
  const std::string_view allowed = raw.substr(0, limits.max_header_bytes);
  if (!clean_line_ends(allowed, checked))
    return refuse(400, "lines must end in CRLF, and CR, LF and NUL may stand nowhere else");
  if (raw.size() <= limits.max_header_bytes) return std::nullopt;
  if (allowed.find("\r\n") == std::string_view::npos)
    return refuse(414, str("the target is longer than ", limits.max_target_bytes, " bytes"));
  return refuse(431, str("the header is longer than ", limits.max_header_bytes, " bytes"));
}

std::optional<ApiError> check_head(std::string_view raw, const HttpLimits& limits, RequestHead& head) {
  if (auto refused = check_partial_head(raw, limits)) return refused;
  if (raw.size() < 4 || raw.substr(raw.size() - 4) != "\r\n\r\n") return refuse(400, "the header has no end");
  head = {};
  std::string_view rest = raw;
  if (auto refused = parse_request_line(take_line(rest), limits, head)) return refused;
  for (std::string_view line = take_line(rest); !line.empty(); line = take_line(rest)) {
    if (head.headers.size() == limits.max_header_fields)
      return refuse(431, str("there are more than ", limits.max_header_fields, " header fields"));
    if (auto refused = parse_field(line, head)) return refused;
  }
  if (!rest.empty()) return refuse(400, "the header has two ends");
  if (auto refused = check_transfer_encoding(head)) return refused;
  if (auto refused = check_content_length(head)) return refused;
  if (auto refused = check_single_fields(head)) return refused;
  if (auto refused = check_connection(head)) return refused;
  return check_expect(head);
}

}  // namespace qwen
