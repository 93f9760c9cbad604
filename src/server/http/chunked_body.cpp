#include "server/http/chunked_body.h"

#include <algorithm>
#include <charconv>

#include "server/http/headers.h"

namespace qwen {
namespace {

constexpr size_t kMaxSizeDigits = 16;  // of 64 bits

ApiError malformed(const char* what) { return {.status = 400, .code = "bad_request", .message = what}; }

bool is_control(char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; }

bool quotes_close(std::string_view text) {
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      quoted = !quoted;
    }
  }
  return !quoted;
}

bool is_harmless_trailer(std::string_view line) {
  const size_t colon = line.find(':');
  const std::string_view name = line.substr(0, colon);
  return colon != std::string_view::npos && is_token(name) && !iequals(name, "content-length") &&
         !iequals(name, "transfer-encoding");
}

}  // namespace

ChunkedBody::Taken ChunkedBody::take(std::string_view bytes, std::string& body) {
  size_t at = 0;
  while (at < bytes.size() && !complete()) {
    if (at_ != At::kData) {
      if (auto refused = take_character(bytes[at++], body.size())) return {at, std::move(refused)};
      continue;
    }
    const auto length = static_cast<size_t>(std::min<uint64_t>(left_, bytes.size() - at));
    body.append(bytes.substr(at, length));
    at += length;
    left_ -= length;
    if (left_ == 0) at_ = At::kDataEnd;
  }
  return {at};
}

std::optional<ApiError> ChunkedBody::take_character(char c, size_t body_size) {
  const bool after_cr = line_.ends_with('\r');
  if (c == '\n' && after_cr) {
    line_.pop_back();
    auto refused = end_line(body_size);
    line_.clear();
    return refused;
  }
  if (after_cr || (is_control(c) && c != '\r')) return malformed("a chunk's lines must end in CRLF");
  if (at_ == At::kDataEnd && c != '\r') return malformed("a chunk's data is longer than its size");
  line_ += c;
  const bool extra = at_ == At::kTrailer || line_.size() > kMaxSizeDigits + 1;
  if (extra && ++extra_ > max_extra_) return malformed("the chunks' extensions and the trailers are too long");
  return std::nullopt;
}

std::optional<ApiError> ChunkedBody::end_line(size_t body_size) {
  if (at_ == At::kSize) return read_size(body_size);
  if (at_ == At::kDataEnd) {
    at_ = At::kSize;
  } else if (line_.empty()) {
    at_ = At::kEnd;
  } else if (!is_harmless_trailer(line_)) {
    return malformed("a trailer is malformed or not allowed");
  }
  return std::nullopt;
}

std::optional<ApiError> ChunkedBody::read_size(size_t body_size) {
  const std::string_view digits = std::string_view(line_).substr(0, line_.find(';'));
  const char* const end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, left_, 16);
  if (error != std::errc() || stop != end || digits.size() > kMaxSizeDigits)
    return malformed("the size of a chunk is not a hexadecimal number of at most 16 digits");
  if (!quotes_close(line_)) return malformed("a quote in a chunk's extension does not close");
  if (left_ > max_body_ - body_size)
    return ApiError{
        .status = 413, .code = "request_too_large", .message = str("the body is longer than ", max_body_, " bytes")};
  at_ = left_ > 0 ? At::kData : At::kTrailer;
  return std::nullopt;
}

}  // namespace qwen
