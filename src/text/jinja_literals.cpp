#include "text/jinja_literals.h"

#include <algorithm>
#include <cctype>

namespace qwen {
namespace {

constexpr size_t kMaxTemplateBytes = size_t{1} << 20;
constexpr size_t kMaxLiterals = 2000;
constexpr std::string_view kWhiteSpace = " \t\r\n\f\v";

bool is_name_char(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

class Lexer {
 public:
  explicit Lexer(std::string_view text) : rest_(text) {}

  std::optional<JinjaLiterals> run() {
    while (!rest_.empty()) {
      if (!outside()) return std::nullopt;
      if (out_.literals.size() > kMaxLiterals || out_.identifiers.size() > 50 * kMaxLiterals) return std::nullopt;
    }
    return std::move(out_);
  }

 private:
  static constexpr size_t kNone = std::string_view::npos;

  void literal(std::string text) {
    if (!text.empty()) out_.literals.push_back(std::move(text));
  }

  // Text up to the next tag, and that tag.
  bool outside() {
    size_t tag = 0;
    do {
      tag = rest_.find('{', tag);
    } while (tag != kNone && (tag + 1 >= rest_.size() || std::string_view("{%#").find(rest_[tag + 1]) == kNone) &&
             ++tag);
    std::string_view plain = rest_.substr(0, tag);
    if (strip_next_) plain.remove_prefix(std::min(plain.find_first_not_of(kWhiteSpace), plain.size()));
    if (trim_next_ && !plain.empty() && plain[0] == '\n') plain.remove_prefix(1);
    strip_next_ = trim_next_ = false;
    if (tag == kNone) {
      if (!plain.empty() && plain.back() == '\n') plain.remove_suffix(1);  // keep_trailing_newline is off
      literal(std::string(plain));
      rest_ = {};
      return true;
    }
    const char kind = rest_[tag + 1];
    const char control = tag + 2 < rest_.size() ? rest_[tag + 2] : ' ';
    if (control == '-') {
      plain = plain.substr(0, plain.find_last_not_of(kWhiteSpace) + 1);
    } else if (kind != '{' &&
               control != '+') {  // lstrip_blocks: white space before a block goes, back to the start of its line
      const size_t blank = plain.find_last_not_of(" \t") + 1;
      if (blank == 0 || plain[blank - 1] == '\n') plain = plain.substr(0, blank);
    }
    literal(std::string(plain));
    rest_.remove_prefix(tag + 2 + (control == '-' || control == '+' ? 1 : 0));
    return kind == '#' ? comment() : inside(kind == '{' ? "}}" : "%}");
  }

  bool comment() {
    const size_t end = rest_.find("#}");
    if (end == kNone) return false;
    close(end, 2, end > 0 && rest_[end - 1] == '-', true);
    return true;
  }

  void close(size_t at, size_t length, bool strip, bool trim) {
    strip_next_ = strip;
    trim_next_ = trim && !strip;
    rest_.remove_prefix(at + length);
  }

  // An expression or statement up to `end`.
  bool inside(std::string_view end) {
    size_t at = 0;
    while (at < rest_.size()) {
      const char c = rest_[at];
      if (c == '\'' || c == '"') {
        if (!string(at)) return false;
      } else if (rest_.substr(at, 2) == end) {
        close(at, 2, at > 0 && rest_[at - 1] == '-', end == "%}");
        return true;
      } else if (is_name_char(c)) {
        const size_t begin = at;
        while (at < rest_.size() && is_name_char(rest_[at])) ++at;
        out_.identifiers.emplace_back(rest_.substr(begin, at - begin), out_.literals.size());
      } else {
        ++at;
      }
    }
    return false;
  }

  // The string literal that begins at `at`, which moves behind it.
  bool string(size_t& at) {
    const char quote = rest_[at++];
    std::string value;
    for (; at < rest_.size(); ++at) {
      char c = rest_[at];
      if (c == quote) {
        ++at;
        literal(std::move(value));
        return true;
      }
      if (c == '\\' && at + 1 < rest_.size()) {
        c = rest_[++at];
        if (c == 'n') c = '\n';
        if (c == 't') c = '\t';
        if (c == 'r') c = '\r';
      }
      value += c;
    }
    return false;
  }

  std::string_view rest_;
  JinjaLiterals out_;
  bool strip_next_ = false;  // the tag before ended in "-": white space after it goes
  bool trim_next_ = false;   // trim_blocks: one newline after a block goes
};

}  // namespace

bool JinjaLiterals::mentions(std::string_view identifier) const {
  return std::any_of(identifiers.begin(), identifiers.end(),
                     [&](const auto& entry) { return entry.first == identifier; });
}

std::string JinjaLiterals::after(std::string_view identifier) const {
  const auto last = std::find_if(identifiers.rbegin(), identifiers.rend(),
                                 [&](const auto& entry) { return entry.first == identifier; });
  std::string joined;
  if (last == identifiers.rend()) return joined;
  for (size_t i = last->second; i < literals.size(); ++i) joined += literals[i];
  return joined;
}

std::optional<JinjaLiterals> jinja_literals(std::string_view text) {
  if (text.size() > kMaxTemplateBytes) return std::nullopt;
  return Lexer(text).run();
}

}  // namespace qwen
