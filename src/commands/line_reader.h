// Lines of standard input, while something else may happen: a wait ends as soon as another descriptor is readable.
#pragma once

#include <string>

namespace qwen {

class LineReader {
 public:
  enum class Result { kLine, kEnd, kInterrupted };

  explicit LineReader(int interrupts) : interrupts_(interrupts) {}  // the other descriptor; it stays the caller's

  // Without the line break; a last line without one counts. kInterrupted: the other descriptor is readable.
  Result next(std::string& line);

 private:
  const int interrupts_;
  std::string buffer_;
};

}  // namespace qwen
