// The head of a request: what is accepted has one meaning. Every beginning of it may still become a head, its parts are
// what they claim to be, and written out from its parts it is read as the same.
#include <algorithm>

#include "fuzz.h"
#include "server/http/framing_guard.h"

namespace qwen::fuzz {
namespace {

std::string encoded(std::string_view path) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string target;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || byte == '/' || byte == '*';
    if (plain)
      target += c;
    else
      target.append({'%', kHex[byte >> 4], kHex[byte & 15]});
  }
  return target;
}

std::string written(const RequestHead& head) {
  std::string text = head.method + " " + encoded(head.path) + (head.query.empty() ? "" : "?" + head.query) +
                     " HTTP/1." + std::to_string(head.minor_version) + "\r\n";
  for (const Header& header : head.headers) text += header.name + ": " + header.value + "\r\n";
  return text + "\r\n";
}

void check_parts(const RequestHead& head) {
  FUZZ_CHECK(head.path == "*" || head.path.starts_with('/'));
  FUZZ_CHECK(utf8_valid(head.path) && head.path.find('\\') == std::string::npos);
  FUZZ_CHECK((head.path + "/").find("/../") == std::string::npos && (head.path + "/").find("/./") == std::string::npos);
  for (const std::string* text : {&head.method, &head.path, &head.query})
    FUZZ_CHECK(std::all_of(text->begin(), text->end(),
                           [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; }));
  for (const Header& header : head.headers) {
    FUZZ_CHECK(!header.name.empty() && header.name.find_first_of(" \t\r\n:") == std::string::npos);
    FUZZ_CHECK(header.value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos);
  }
  FUZZ_CHECK(!(head.chunked && head.content_length));
  FUZZ_CHECK(head.chunked == find_header(head.headers, "transfer-encoding").has_value());
  FUZZ_CHECK(head.content_length.has_value() == find_header(head.headers, "content-length").has_value());
  FUZZ_CHECK(count_headers(head.headers, "host") == 1 || head.minor_version == 0);
  FUZZ_CHECK(!head.expect_continue || head.has_body());
}

void check_same(const RequestHead& a, const RequestHead& b) {
  FUZZ_CHECK(a.method == b.method && a.path == b.path && a.query == b.query && a.minor_version == b.minor_version);
  FUZZ_CHECK(a.content_length == b.content_length && a.chunked == b.chunked && a.keep_alive == b.keep_alive);
  FUZZ_CHECK(a.expect_continue == b.expect_continue && a.headers.size() == b.headers.size());
  for (size_t i = 0; i < a.headers.size(); ++i)
    FUZZ_CHECK(a.headers[i].name == b.headers[i].name && a.headers[i].value == b.headers[i].value);
}

void check_text(std::string_view text) {
  HttpLimits limits;
  limits.max_header_bytes = 512;
  limits.max_header_fields = 8;
  limits.max_target_bytes = 128;
  RequestHead head;
  if (const auto refused = check_head(text, limits, head)) {
    FUZZ_CHECK(refused->status >= 400 && refused->status <= 505 && refused->status != 500);
    check_message(refused->message);
    return;
  }
  FUZZ_CHECK(text.size() <= limits.max_header_bytes && head.headers.size() <= limits.max_header_fields);
  for (size_t length = 0; length < text.size(); ++length)
    FUZZ_CHECK(!check_partial_head(text.substr(0, length), limits));
  check_parts(head);
  RequestHead again;
  FUZZ_CHECK(!check_head(written(head), {}, again));
  check_same(head, again);
}

}  // namespace
}  // namespace qwen::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = qwen::fuzz::text_of(data, size);
  qwen::fuzz::check_text(text);
  qwen::fuzz::check_text(std::string(text) + "\r\n\r\n");
  return 0;
}
