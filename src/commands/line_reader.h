// Lines of standard input for a program that handles signals: an interrupted read is told apart from the end.
#pragma once

#include <string>

namespace qwen {

class LineReader {
 public:
  enum class Result { kLine, kEnd, kInterrupted };
  Result next(std::string& line);  // without the line break; a last line without one counts

 private:
  std::string buffer_;
};

}  // namespace qwen
