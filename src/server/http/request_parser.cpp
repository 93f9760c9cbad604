#include "server/http/request_parser.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>

namespace qwen {

namespace http = boost::beast::http;

namespace {

// A string that takes memory for the bytes that came: Beast's own string_body reserves whatever length was announced.
struct ArrivedBody {
  using value_type = std::string;

  class reader {
   public:
    template <bool is_request, typename Fields>
    reader(http::header<is_request, Fields>&, value_type& body) : body_(body) {}

    void init(const boost::optional<std::uint64_t>&, boost::system::error_code& error) { error = {}; }
    template <typename Buffers>
    size_t put(const Buffers& buffers, boost::system::error_code& error) {
      error = {};
      const size_t before = body_.size();
      for (auto it = boost::asio::buffer_sequence_begin(buffers); it != boost::asio::buffer_sequence_end(buffers);
           ++it) {
        const boost::asio::const_buffer piece(*it);
        body_.append(static_cast<const char*>(piece.data()), piece.size());
      }
      return body_.size() - before;
    }
    void finish(boost::system::error_code& error) { error = {}; }

   private:
    value_type& body_;
  };
};

}  // namespace

struct RequestParser::BodyParser {
  http::request_parser<ArrivedBody> beast;
};

RequestParser::RequestParser(const HttpLimits& limits) : limits_(limits) {}
RequestParser::~RequestParser() = default;

void RequestParser::reset() {
  body_parser_.reset();
  raw_head_.clear();
  head_ = {};
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
  body_parser_ = std::make_unique<BodyParser>();
  auto& beast = body_parser_->beast;
  beast.header_limit(static_cast<std::uint32_t>(limits_.max_header_bytes));
  beast.body_limit(max_body_bytes);
  boost::system::error_code error;
  const size_t used = beast.put(boost::asio::buffer(raw_head_), error);
  if (error == http::error::body_limit)
    return fail({.status = 413,
                 .code = "request_too_large",
                 .message = str("the body is longer than ", max_body_bytes, " bytes")});
  const bool agrees = !error && used == raw_head_.size() && beast.is_header_done() &&
                      beast.chunked() == head_.chunked && beast.is_done() == !head_.has_body();
  if (!agrees) return fail({.status = 400, .code = "bad_request", .message = "the header is malformed"});
  beast.eager(true);
  return beast.is_done() ? Step::kComplete : Step::kNeedMore;
}

RequestParser::Step RequestParser::parse_body(std::string& buffer) {
  auto& beast = body_parser_->beast;
  if (buffer.empty()) return Step::kNeedMore;
  boost::system::error_code error;
  const size_t used = beast.put(boost::asio::buffer(buffer), error);
  buffer.erase(0, used);
  if (error == http::error::body_limit)
    return fail({.status = 413, .code = "request_too_large", .message = "the body is too large"});
  if (error && error != http::error::need_more)
    return fail({.status = 400, .code = "bad_request", .message = "the chunked body is malformed"});
  if (beast.is_done()) return Step::kComplete;
  // What Beast cannot use yet is a chunk header or trailers: it puts no bound on them, so this does.
  if (buffer.size() > limits_.max_header_bytes)
    return fail({.status = 400, .code = "bad_request", .message = "a chunk header or the trailers are too long"});
  return Step::kNeedMore;
}

size_t RequestParser::body_bytes() const { return body_parser_ ? body_parser_->beast.get().body().size() : 0; }
std::string RequestParser::take_body() { return std::move(body_parser_->beast.get().body()); }

}  // namespace qwen
