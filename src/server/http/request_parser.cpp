#include "server/http/request_parser.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>

namespace qwen {

namespace http = boost::beast::http;

namespace {

bool beast_agrees(const std::string& raw, const RequestHead& head, const HttpLimits& limits) {
  http::request_parser<http::empty_body> beast;
  beast.header_limit(static_cast<std::uint32_t>(limits.max_header_bytes));
  beast.body_limit(boost::none);
  boost::system::error_code error;
  const size_t used = beast.put(boost::asio::buffer(raw), error);
  return !error && used == raw.size() && beast.is_header_done() && beast.chunked() == head.chunked &&
         beast.is_done() == !head.has_body() &&
         (head.chunked || beast.content_length().value_or(0) == head.content_length.value_or(0));
}

}  // namespace

RequestParser::RequestParser(const HttpLimits& limits) : limits_(limits) {}

void RequestParser::reset() {
  raw_head_.clear();
  head_ = {};
  chunks_.reset();
  body_ = {};
  scanned_ = 0;
  skipped_blank_ = false;
}

RequestParser::Step RequestParser::fail(ApiError error) {
  error_ = std::move(error);
  return Step::kError;
}

RequestParser::Step RequestParser::parse_head(std::string& buffer) {
  if (!skipped_blank_ && buffer.size() >= 2 && buffer.compare(0, 2, "\r\n") == 0) {
    buffer.erase(0, 2);
    scanned_ = 0;
    skipped_blank_ = true;
  }
  if (skipped_blank_ && !buffer.empty() && buffer[0] == '\r')
    return fail({.status = 400, .code = "bad_request", .message = "empty lines before the request line"});
  const size_t end = buffer.find("\r\n\r\n", scanned_ < 3 ? 0 : scanned_ - 3);
  if (end == std::string::npos) {
    // Only what may still become a head is looked at (a long body of the previous request's never is), and each byte
    // once: a client that sends one at a time costs no more than another.
    if (auto refused = check_partial_head(buffer, limits_, scanned_)) return fail(std::move(*refused));
    scanned_ = buffer.size();
    return Step::kNeedMore;
  }
  raw_head_ = buffer.substr(0, end + 4);
  buffer.erase(0, end + 4);
  if (auto refused = check_head(raw_head_, limits_, head_)) return fail(std::move(*refused));
  return Step::kHead;
}

RequestParser::Step RequestParser::begin_body(size_t max_body_bytes) {
  if (head_.content_length.value_or(0) > max_body_bytes)
    return fail({.status = 413,
                 .code = "request_too_large",
                 .message = str("the body is longer than ", max_body_bytes, " bytes")});
  if (!beast_agrees(raw_head_, head_, limits_))
    return fail({.status = 400, .code = "bad_request", .message = "the header is malformed"});
  if (head_.chunked) chunks_.emplace(max_body_bytes, limits_.max_header_bytes);
  return head_.has_body() ? Step::kNeedMore : Step::kComplete;
}

RequestParser::Step RequestParser::parse_body(std::string& buffer) {
  if (chunks_) {
    ChunkedBody::Taken taken = chunks_->take(buffer, body_);
    buffer.erase(0, taken.bytes);
    if (taken.refused) return fail(std::move(*taken.refused));
    return chunks_->complete() ? Step::kComplete : Step::kNeedMore;
  }
  const size_t length = std::min<size_t>(*head_.content_length - body_.size(), buffer.size());
  body_.append(buffer, 0, length);
  buffer.erase(0, length);
  return body_.size() == *head_.content_length ? Step::kComplete : Step::kNeedMore;
}

}  // namespace qwen
