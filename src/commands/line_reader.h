// Lines of a descriptor, while something else may happen: a wait ends as soon as another descriptor is readable.
#pragma once

#include <string>

namespace qwen {

class LineReader {
 public:
  enum class Result { kLine, kEnd, kInterrupted };

  LineReader(int input, int interrupts) : input_(input), interrupts_(interrupts) {}  // both stay the caller's

  // Without the line break; a last line without one counts. kInterrupted: the other descriptor is readable, which goes
  // before lines that are there.
  Result next(std::string& line);

 private:
  const int input_, interrupts_;
  std::string buffer_;
};

}  // namespace qwen
