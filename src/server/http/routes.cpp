#include "server/http/routes.h"

#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "server/access/access_control.h"
#include "server/access/cors.h"
#include "server/api/errors.h"

namespace qwen {
namespace {

constexpr size_t kTrifle =
    16 * 1024;  // a body that nobody asked for is read up to here, so that the next request is the next request

bool matches(const Route& route, std::string_view path, std::string& tail) {
  const std::string_view pattern = route.path;
  const size_t star = pattern.find("/*");
  if (star == std::string_view::npos) return pattern == path;
  const std::string_view prefix = pattern.substr(0, star + 1), suffix = pattern.substr(star + 2);
  if (path.size() <= prefix.size() + suffix.size() || !path.starts_with(prefix) || !path.ends_with(suffix))
    return false;
  const std::string_view matched = path.substr(prefix.size(), path.size() - prefix.size() - suffix.size());
  if (!suffix.empty() && matched.find('/') != std::string_view::npos) return false;
  tail = matched;
  return true;
}

void list_method(std::string& list, std::string_view method) {
  if (!list.empty()) list += ", ";
  list += method;
}

void append(Headers& to, Headers more) {
  to.insert(to.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

// JSON is the only thing that a body may be. A missing type is taken for JSON; so does curl's default for -d not pass.
std::optional<ApiError> check_media(const Headers& headers) {
  const auto encoding = find_header(headers, "content-encoding");
  if (encoding && !iequals(*encoding, "identity"))
    return ApiError{.status = 415, .code = "unsupported_media_type", .message = "encoded bodies are not accepted"};
  const auto type = find_header(headers, "content-type");
  if (!type) return std::nullopt;
  const std::string_view media = trim_spaces(type->substr(0, type->find(';')));
  const std::string_view parameters =
      type->size() > media.size() ? type->substr(std::min(type->find(';'), type->size())) : "";
  std::string lowered(parameters);
  std::transform(lowered.begin(), lowered.end(), lowered.begin(),
                 [](unsigned char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  const size_t charset = lowered.find("charset=");
  const bool utf8 = charset == std::string::npos || lowered.find("utf-8", charset) != std::string::npos ||
                    lowered.find("utf8", charset) != std::string::npos;
  if (!iequals(media, "application/json") || !utf8)
    return ApiError{.status = 415,
                    .code = "unsupported_media_type",
                    .message = "the body must be JSON in UTF-8: send the header Content-Type: application/json"};
  return std::nullopt;
}

}  // namespace

void RouteTable::add(Route route) { routes_.push_back(std::move(route)); }

RouteTable::Match RouteTable::find(std::string_view method, std::string_view path) const {
  Match match;
  const std::string_view looked_for = method == "HEAD" ? "GET" : method;
  for (const Route& route : routes_) {
    std::string tail;
    if (!matches(route, path, tail)) continue;
    list_method(match.allowed, route.method);
    if (route.method == "GET") list_method(match.allowed, "HEAD");
    if (!match.route && route.method == looked_for) {
      match.route = &route;
      match.tail = std::move(tail);
    }
  }
  if (!match.allowed.empty()) list_method(match.allowed, "OPTIONS");
  return match;
}

Admission admit(const RequestHead& head, const AdmissionRules& rules) {
  Admission admission;
  if (rules.cors != nullptr) admission.headers = rules.cors->headers(head.headers);
  const auto refuse = [&](ApiError error) {
    admission.answer = error_response(error);
    return admission;
  };
  RouteTable::Match match = rules.routes.find(head.method, head.path);
  if (head.method == "OPTIONS" && (head.path == "*" || !match.allowed.empty())) {
    admission.answer = Response{.status = 204, .content_type = {}};
    if (match.allowed.empty()) return admission;
    admission.answer->headers.push_back({"Allow", match.allowed});
    if (rules.cors != nullptr) append(admission.headers, rules.cors->preflight(head.headers, match.allowed));
    return admission;
  }
  if (match.allowed.empty()) return refuse({.status = 404, .code = "not_found", .message = "there is no such route"});
  if (!match.route)
    return refuse({.status = 405,
                   .code = "method_not_allowed",
                   .message = "this route allows " + match.allowed,
                   .allow = match.allowed});
  admission.route = match.route;
  admission.path_tail = std::move(match.tail);
  if (rules.access != nullptr) {
    AccessControl::Verdict verdict = rules.access->judge(head, match.route->access);
    admission.key_name = std::move(verdict.key_name);
    admission.admin = verdict.admin;
    admission.account = std::move(verdict.account);
    append(admission.headers, std::move(verdict.headers));
    if (verdict.refused) return refuse(std::move(*verdict.refused));
  }
  admission.max_body_bytes = std::max(match.route->max_body_bytes, kTrifle);
  if (head.content_length.value_or(0) > admission.max_body_bytes)
    return refuse({.status = 413,
                   .code = "request_too_large",
                   .message = str("the body is longer than ", admission.max_body_bytes, " bytes")});
  if (match.route->max_body_bytes > 0)
    if (auto refused = check_media(head.headers)) return refuse(std::move(*refused));
  return admission;
}

}  // namespace qwen
