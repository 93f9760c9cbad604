// The bytes of a connection: the same requests and the same end, however they are cut into reads; and a chunked body is
// what a second, plain reader of chunks finds.
#include <algorithm>

#include "fuzz.h"
#include "server/http/request_parser.h"

namespace qwen::fuzz {
namespace {

using Step = RequestParser::Step;

constexpr size_t kMaxBodyBytes = 256;

HttpLimits small_limits() {
  HttpLimits limits;
  limits.max_header_bytes = 512;
  limits.max_header_fields = 8;
  limits.max_target_bytes = 128;
  return limits;
}

struct Outcome {
  std::vector<std::string> requests;  // what each says
  std::vector<size_t> ends;           // where in the bytes it ends
  int refused = 0;                    // the status that ends the connection
  bool operator==(const Outcome&) const = default;
};

std::string shown(const RequestHead& head, const std::string& body) {
  std::string text = head.method + ' ' + head.path + '?' + head.query + ' ' + std::to_string(head.minor_version) + '\n';
  for (const Header& header : head.headers) text += header.name + ':' + header.value + '\n';
  return text + '\n' + body;
}

// RFC 9112 7.1 without a thought for errors: nothing where a complete body does not begin `text`.
struct Chunks {
  std::string body;
  size_t end = 0;
};
std::optional<Chunks> read_chunks(std::string_view text) {
  Chunks result;
  const auto line = [&]() -> std::optional<std::string_view> {
    const size_t end = text.find("\r\n", result.end);
    if (end == text.npos) return std::nullopt;
    const std::string_view found = text.substr(result.end, end - result.end);
    result.end = end + 2;
    return found;
  };
  for (;;) {
    const auto header = line();
    if (!header) return std::nullopt;
    const size_t size = std::strtoul(std::string(*header).c_str(), nullptr, 16);
    if (size > text.size() - result.end) return std::nullopt;
    if (size == 0) break;
    result.body += text.substr(result.end, size);
    result.end += size + 2;
    if (result.end > text.size()) return std::nullopt;
  }
  for (auto trailer = line();; trailer = line()) {
    if (!trailer) return std::nullopt;
    if (trailer->empty()) return result;
  }
}

class Connection {
 public:
  explicit Connection(std::string_view all) : all_(all) {}

  Outcome feed(const std::vector<std::string_view>& pieces) {
    for (const std::string_view piece : pieces) {
      buffer_ += piece;
      given_ += piece.size();
      while (outcome_.refused == 0 && advance()) {
      }
      if (outcome_.refused != 0) break;
    }
    return outcome_;
  }

 private:
  bool advance() {
    Step step = in_body_ ? parser_.parse_body(buffer_) : parser_.parse_head(buffer_);
    if (step == Step::kHead) {
      body_begin_ = given_ - buffer_.size();
      step = parser_.begin_body(kMaxBodyBytes);
      in_body_ = step == Step::kNeedMore;
      if (in_body_) return true;
    }
    if (step == Step::kComplete) complete();
    if (step == Step::kError) {
      outcome_.refused = parser_.error().status;
      FUZZ_CHECK(outcome_.refused >= 400 && outcome_.refused < 600 && outcome_.refused != 500);
      check_message(parser_.error().message);
    }
    return step == Step::kComplete;
  }

  void complete() {
    const RequestHead head = parser_.head();
    const std::string body = parser_.take_body();
    FUZZ_CHECK(body.size() <= kMaxBodyBytes);
    outcome_.requests.push_back(shown(head, body));
    outcome_.ends.push_back(given_ - buffer_.size());
    if (head.chunked) {
      const auto chunks = read_chunks(all_.substr(body_begin_));
      FUZZ_CHECK(chunks && chunks->body == body && body_begin_ + chunks->end == outcome_.ends.back());
    } else {
      FUZZ_CHECK(body == all_.substr(body_begin_, head.content_length.value_or(0)));
      FUZZ_CHECK(outcome_.ends.back() == body_begin_ + body.size());
    }
    parser_.reset();
    in_body_ = false;
  }

  std::string_view all_;
  RequestParser parser_{small_limits()};
  std::string buffer_;
  size_t given_ = 0, body_begin_ = 0;
  bool in_body_ = false;
  Outcome outcome_;
};

}  // namespace
}  // namespace qwen::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace qwen::fuzz;
  const std::string_view text = text_of(data, size);
  const Outcome whole = Connection(text).feed({text});
  Choices choices(text);
  for (int i = 0; i < 3; ++i) FUZZ_CHECK(Connection(text).feed(choices.cut(text)) == whole);
  return 0;
}
