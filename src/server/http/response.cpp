#include "server/http/response.h"

#include <algorithm>
#include <ctime>
#include <utility>

namespace qwen {
namespace {

// What every answer says to a browser, where it does not say otherwise itself: it is what its type says, belongs into
// no frame and no cache, runs nothing, and its address is nobody's business.
constexpr std::pair<std::string_view, std::string_view> kForBrowsers[] = {
    {"X-Content-Type-Options", "nosniff"},
    {"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
    {"Referrer-Policy", "no-referrer"},
    {"Cache-Control", "no-store"},
};

bool clean(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

void add(std::string& out, std::string_view name, std::string_view value) {
  if (!clean(name) || !clean(value)) return;
  out.append(name).append(": ").append(value).append("\r\n");
}

}  // namespace

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Status";
  }
}

std::string http_date() {
  // strftime's names follow the locale; these may not.
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[64];
  std::snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT", kDays[utc.tm_wday], utc.tm_mday,
                kMonths[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
  return text;
}

std::string serialize_head(const Response& response, const Framing& framing) {
  std::string out = "HTTP/1.1 " + std::to_string(response.status) + ' ';
  out.append(reason_phrase(response.status)).append("\r\n");
  add(out, "Date", http_date());
  const bool bodiless = response.status == 204 || response.status == 304;
  if (!response.content_type.empty() && !bodiless) add(out, "Content-Type", response.content_type);
  if (framing.chunked)
    add(out, "Transfer-Encoding", "chunked");
  else if (!framing.until_close && !bodiless)
    add(out, "Content-Length", std::to_string(framing.body_size));
  if (!framing.keep_alive)
    add(out, "Connection", "close");
  else if (framing.minor_version == 0)
    add(out, "Connection", "keep-alive");
  add(out, "X-Request-Id", framing.request_id);
  if (framing.hsts_max_age > 0)
    add(out, "Strict-Transport-Security", "max-age=" + std::to_string(framing.hsts_max_age));
  for (const Header& header : response.headers) add(out, header.name, header.value);
  for (const auto& [name, value] : kForBrowsers)
    if (!find_header(response.headers, name)) add(out, name, value);
  return out += "\r\n";
}

}  // namespace qwen
