#include "commands/terminal.h"

#include <unistd.h>

#include <iostream>
#include <string>

#include "base/error.h"

namespace qwen {
namespace {

constexpr char kDim[] = "\033[2m", kNormal[] = "\033[0m";

// A model may write escape sequences; a terminal must not obey them.
std::string without_controls(const std::string& text) {
  std::string clean;
  clean.reserve(text.size());
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t') clean += c;
  }
  return clean;
}

}  // namespace

TerminalWriter::TerminalWriter() : terminal_(::isatty(STDOUT_FILENO) != 0) {}

void TerminalWriter::write(const TextDelta& delta) {
  if (terminal_ && !delta.reasoning.empty()) {
    if (!dim_) std::cout << kDim;
    dim_ = true;
    std::cout << without_controls(delta.reasoning);
    line_open_ = true;
  }
  if (!delta.content.empty()) {
    if (dim_) std::cout << kNormal << "\n\n";
    dim_ = false;
    std::cout << (terminal_ ? without_controls(delta.content) : delta.content);
    line_open_ = true;
  }
  std::cout.flush();
}

void TerminalWriter::end() {
  if (dim_) std::cout << kNormal;
  if (line_open_) std::cout << '\n';
  dim_ = line_open_ = false;
  std::cout.flush();
}

bool print_stream(TextStream& stream, TerminalWriter& writer, const std::function<bool()>& stop) {
  constexpr std::chrono::milliseconds kWait{100};
  while (true) {
    const std::optional<TextDelta> delta = stream.next(kWait);
    if (delta) writer.write(*delta);
    if (stop && stop()) return false;
    if (!std::cout) throw Error(ErrorCode::kFailed, "standard output: cannot write");
    if (!delta && stream.finished()) break;
  }
  if (stream.completion().finish_reason == FinishReason::kError)
    throw Error(ErrorCode::kFailed, stream.completion().error);
  return true;
}

}  // namespace qwen
