// See reasoning_steps.h.
#include "thinking/reasoning_steps.h"

#include <algorithm>
#include <array>

#include "base/utf8.h"
#include "thinking/thinking_budget.h"

namespace qwen {
namespace {

using Pieces = std::vector<std::string_view>;

constexpr std::string_view kSpaces = " \t\r\n\f\v";
constexpr std::array<std::string_view, 6> kFullWidthEnds = {"。", "！", "？", "；", "…", "．"};

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(kSpaces);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpaces) - first + 1);
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Length of a number at the front, in digits or in Chinese numerals; 0 where there is none.
size_t number_length(std::string_view text) {
  size_t length = 0;
  while (length < text.size() && is_digit(text[length])) ++length;
  if (length > 0) return length <= 3 ? length : 0;
  for (bool more = true; more;) {
    more = false;
    for (const std::string_view numeral : {"一", "二", "三", "四", "五", "六", "七", "八", "九", "十"}) {
      if (!text.substr(length).starts_with(numeral)) continue;
      length += numeral.size();
      more = true;
    }
  }
  return length;
}

size_t prefix_length(std::string_view text, std::initializer_list<std::string_view> choices) {
  for (const std::string_view choice : choices)
    if (text.starts_with(choice)) return choice.size();
  return 0;
}

size_t plain_marker_length(std::string_view line) {
  if (const size_t bullet = prefix_length(line, {"- ", "* ", "+ ", "• ", "·", "● "})) return bullet;
  if (line.starts_with('#')) {
    const size_t end = line.find_first_not_of('#');
    return end != std::string_view::npos && end <= 6 && line[end] == ' ' ? end + 1 : 0;
  }
  size_t at = prefix_length(line, {"Step ", "step ", "STEP ", "步骤", "第", "(", "（"});
  const std::string_view word = line.substr(0, at);
  const size_t number = number_length(line.substr(at));
  if (number == 0) return 0;
  at += number;
  const std::string_view rest = line.substr(at);
  if (word == "第") {
    const size_t kind = prefix_length(rest, {"步", "点", "、", "，", ","});
    return kind == 0 ? 0 : at + kind + prefix_length(rest.substr(kind), {"：", ":", "，", "、", ", "});
  }
  if (word == "(" || word == "（") {
    const size_t end = prefix_length(rest, {")", "）"});
    return end == 0 ? 0 : at + end;
  }
  if (!word.empty()) return at + prefix_length(rest, {"：", ": ", ":", ". ", "、"});
  const size_t end = prefix_length(rest, {". ", ") ", ": ", "、", "．", "）", "：", ".\t"});
  return end == 0 ? 0 : at + end;
}

// Length of the marker that makes a line an item of a list: "3. ", "2) ", "（1）", "一、", "第二步：", "Step 4:", "- ",
// "## ". 0: there is none. "3.14" and "-5" are numbers.
// It may stand within emphasis: "**Step 1: …**".
size_t marker_length(std::string_view line) {
  if (!line.starts_with("**")) return plain_marker_length(line);
  const size_t within = plain_marker_length(line.substr(2));
  return within == 0 ? 0 : within + 2;
}

// "**Title**: text" reads "Title: text".
std::string without_emphasis(std::string_view text) {
  std::string plain;
  while (!text.empty()) {
    const size_t stars = std::min(text.find("**"), text.size());
    plain += text.substr(0, stars);
    text.remove_prefix(std::min(stars + 2, text.size()));
  }
  return plain;
}

Pieces split(std::string_view text, std::string_view separator) {
  Pieces pieces;
  while (!text.empty()) {
    const size_t end = std::min(text.find(separator), text.size());
    if (const std::string_view piece = trimmed(text.substr(0, end)); !piece.empty()) pieces.push_back(piece);
    text.remove_prefix(std::min(end + separator.size(), text.size()));
  }
  return pieces;
}

// Bytes of the sentence at the front, its end included. A full stop ends one only in front of a space.
size_t sentence_length(std::string_view text) {
  for (size_t at = 0; at < text.size(); ++at) {
    for (const std::string_view end : kFullWidthEnds)
      if (text.substr(at).starts_with(end)) return at + end.size();
    const char c = text[at];
    if ((c == '.' || c == '!' || c == '?' || c == ';') &&
        (at + 1 == text.size() || text[at + 1] == ' ' || text[at + 1] == '\n'))
      return at + 1;
  }
  return text.size();
}

Pieces sentences(std::string_view text) {
  Pieces pieces;
  for (text = trimmed(text); !text.empty(); text = trimmed(text)) {
    const size_t length = sentence_length(text);
    pieces.push_back(text.substr(0, length));
    text.remove_prefix(length);
  }
  return pieces;
}

// Each item begins with its marked line and takes the lines up to the next one; what stands before the first is a piece
// for each paragraph. Empty where fewer than two lines are marked.
Pieces list_items(std::string_view text) {
  std::vector<size_t> begins;
  for (size_t line = 0; line < text.size();) {
    const size_t first = std::min(text.find_first_not_of(" \t", line), text.size());
    if (marker_length(text.substr(first)) > 0) begins.push_back(first);
    line = std::min(text.find('\n', line), text.size() - 1) + 1;
  }
  if (begins.size() < 2) return {};
  Pieces items = split(text.substr(0, begins[0]), "\n\n");
  for (size_t i = 0; i < begins.size(); ++i) {
    const size_t end = i + 1 < begins.size() ? begins[i + 1] : text.size();
    items.push_back(text.substr(begins[i], end - begins[i]));  // untrimmed: a marker may be all there is
  }
  return items;
}

// The longest whole sentences that fit, else as much as fits and "…".
std::string shortened(const std::string& line) {
  size_t bytes = 0, characters = 0;
  for (; bytes < line.size() && characters < kMaxStepCharacters; ++characters)
    bytes += static_cast<size_t>(utf8_decode(std::string_view(line).substr(bytes)).length);
  if (bytes == line.size()) return line;
  size_t end = 0;
  for (size_t next = 0; next < bytes; end = next) {
    next = end + sentence_length(std::string_view(line).substr(end));
    if (next > bytes) break;
  }
  if (end > 0) return std::string(trimmed(std::string_view(line).substr(0, end)));
  return std::string(trimmed(std::string_view(line).substr(0, bytes))) + "…";
}

// White space collapsed, marker and emphasis gone.
std::string one_line(std::string_view piece) {
  piece.remove_prefix(marker_length(piece));
  std::string line;
  bool space = false;
  for (const char c : trimmed(piece)) {
    if (kSpaces.find(c) != std::string_view::npos) {
      space = true;
      continue;
    }
    if (space) line += ' ';
    space = false;
    line += c;
  }
  return shortened(std::string(trimmed(without_emphasis(line))));
}

}  // namespace

std::vector<std::string> reasoning_steps(std::string_view thought) {
  const std::string valid = utf8_lossy(thought.substr(0, utf8_complete_prefix(thought.substr(0, kMaxReasoningBytes))));
  std::string_view text = trimmed(valid);
  if (text.ends_with(kEarlyStopSentence)) text = trimmed(text.substr(0, text.size() - kEarlyStopSentence.size()));

  Pieces pieces = list_items(text);
  if (pieces.empty()) pieces = split(text, "\n\n");
  if (pieces.size() < 2) pieces = split(text, "\n");
  if (pieces.size() < 2) pieces = sentences(text);

  std::vector<std::string> steps;
  const size_t group = std::max<size_t>(1, (pieces.size() + kMaxReasoningSteps - 1) / kMaxReasoningSteps);
  for (size_t i = 0; i < pieces.size(); i += group) {
    const std::string_view last = pieces[std::min(i + group, pieces.size()) - 1];
    // The pieces are parts of one text: a group is what lies from its first to its last.
    const auto length = static_cast<size_t>(last.data() + last.size() - pieces[i].data());
    std::string step = one_line({pieces[i].data(), length});
    if (!step.empty()) steps.push_back(std::move(step));
  }
  return steps;
}

}  // namespace qwen
