#include "text/jinja_tokens.h"

#include <algorithm>
#include <cctype>

#include "base/hash.h"

namespace qwen {
namespace {

using Kind = JinjaToken::Kind;

constexpr size_t kMaxTemplateBytes = size_t{1} << 20;
constexpr size_t kMaxTokens = 100'000;
constexpr size_t kNone = std::string_view::npos;
constexpr std::string_view kWhiteSpace = " \t\r\n\f\v";

bool is_name_char(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool is_space(char c) { return kWhiteSpace.find(c) != kNone; }

// Every line end is \n, and the last one is dropped.
std::string unified_lines(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') continue;
    out += text[i] == '\r' ? '\n' : text[i];
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string_view text) : rest_(text) {}

  std::optional<std::vector<JinjaToken>> run() {
    while (!rest_.empty())
      if (!outside() || tokens_.size() > kMaxTokens) return std::nullopt;
    return std::move(tokens_);
  }

 private:
  // Text around a comment is one text.
  void add_text(std::string_view text) {
    if (text.empty()) return;
    if (tokens_.empty() || tokens_.back().kind != Kind::kText) tokens_.push_back({Kind::kText, {}});
    tokens_.back().text += text;
  }

  size_t next_tag() const {
    for (size_t at = rest_.find('{'); at != kNone; at = rest_.find('{', at + 1))
      if (at + 1 < rest_.size() && std::string_view("{%#").find(rest_[at + 1]) != kNone) return at;
    return kNone;
  }

  // Text up to the next tag, and that tag.
  bool outside() {
    const size_t tag = next_tag();
    std::string_view plain = rest_.substr(0, tag);
    if (tag == kNone) {
      add_text(plain);
      rest_ = {};
      return true;
    }
    const char kind = rest_[tag + 1];
    const char control = tag + 2 < rest_.size() ? rest_[tag + 2] : ' ';
    if (control == '-') {
      plain = plain.substr(0, plain.find_last_not_of(kWhiteSpace) + 1);
    } else if (kind != '{' && control != '+') {  // lstrip_blocks: a blank start of the tag's line goes
      const size_t line = plain.rfind('\n') + 1;
      if ((line > 0 || line_start_) &&
          std::all_of(plain.begin() + static_cast<std::ptrdiff_t>(line), plain.end(), is_space))
        plain = plain.substr(0, line);
    }
    add_text(plain);
    rest_.remove_prefix(tag + 2 + (control == '-' || control == '+' ? 1 : 0));
    if (kind == '#') return comment();
    tokens_.push_back({kind == '{' ? Kind::kPrint : Kind::kStatement, {}});
    return inside(kind == '{' ? "}}" : "%}");
  }

  bool comment() {
    const size_t end = rest_.find("#}");
    if (end == kNone) return false;
    close(end, end > 0 ? rest_[end - 1] : ' ', true);
    return true;
  }

  // Leaves the tag whose two last characters stand at `end`; `control` is the character before them.
  void close(size_t end, char control, bool block) {
    rest_.remove_prefix(end + 2);
    line_start_ = false;
    if (control == '-') {
      rest_.remove_prefix(std::min(rest_.find_first_not_of(kWhiteSpace), rest_.size()));
    } else if (block && control != '+' && rest_.starts_with('\n')) {  // trim_blocks
      rest_.remove_prefix(1);
      line_start_ = true;
    }
  }

  // An expression or statement up to `end`.
  bool inside(std::string_view end) {
    const bool block = end == "%}";
    size_t at = 0;
    while (at < rest_.size() && tokens_.size() <= kMaxTokens) {
      const char c = rest_[at];
      if (rest_.substr(at, 2) == end) {
        close(at, ' ', block);
        return true;
      }
      if ((c == '-' || (c == '+' && block)) && rest_.substr(at + 1, 2) == end) {
        close(at + 1, c, block);
        return true;
      }
      if (is_space(c)) {
        ++at;
      } else if (c == '\'' || c == '"') {
        if (!string(at)) return false;
      } else if (is_name_char(c)) {
        const size_t begin = at;
        while (at < rest_.size() && is_name_char(rest_[at])) ++at;
        tokens_.push_back({Kind::kName, std::string(rest_.substr(begin, at - begin))});
      } else {
        op(at);
      }
    }
    return false;
  }

  void op(size_t& at) {
    size_t length = 1;
    for (const std::string_view two : {"==", "!=", "<=", ">=", "//", "**"})
      if (rest_.substr(at, 2) == two) length = 2;
    tokens_.push_back({Kind::kOperator, std::string(rest_.substr(at, length))});
    at += length;
  }

  // The string literal that begins at `at`, which moves behind it.
  bool string(size_t& at) {
    const size_t begin = at + 1;
    const char quote = rest_[at++];
    std::string value;
    bool resolved = true;
    for (; at < rest_.size() && rest_[at] != quote; ++at) {
      char c = rest_[at];
      if (c == '\\') {
        if (++at == rest_.size()) return false;
        c = rest_[at];
        constexpr std::string_view kEscapes = "ntr\\'\"", kValues = "\n\t\r\\'\"";
        const size_t known = kEscapes.find(c);
        if (known == kNone)
          resolved = false;
        else
          c = kValues[known];
      }
      value += c;
    }
    if (at == rest_.size()) return false;
    if (resolved)
      tokens_.push_back({Kind::kString, std::move(value)});
    else
      tokens_.push_back({Kind::kRawString, std::string(rest_.substr(begin, at - begin))});
    ++at;
    return true;
  }

  std::string_view rest_;
  std::vector<JinjaToken> tokens_;
  bool line_start_ = true;  // the text before rest_ ended a line
};

}  // namespace

std::optional<std::vector<JinjaToken>> jinja_tokens(std::string_view text) {
  if (text.size() > kMaxTemplateBytes) return std::nullopt;
  const std::string lines = unified_lines(text);
  return Lexer(lines).run();
}

std::string digest_of(const std::vector<JinjaToken>& tokens) {
  std::string sequence;
  for (const JinjaToken& token : tokens)
    sequence.append(1, static_cast<char>(token.kind))
        .append(std::to_string(token.text.size()))
        .append(":")
        .append(token.text);
  return sha256_hex(sequence);
}

}  // namespace qwen
