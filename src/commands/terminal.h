// Text to the terminal as it comes: the thought dim and apart from the answer. Where standard output is no terminal,
// the answer alone.
#pragma once

#include <functional>

#include "server/text_stream.h"

namespace qwen {

class TerminalWriter {
 public:
  TerminalWriter();
  void write(const TextDelta& delta);
  void end();  // back to normal colours, at the start of a line

 private:
  const bool terminal_;
  bool dim_ = false;
  bool line_open_ = false;
};

// Prints the stream until it has finished, or until `stop` says so: then the request is cancelled and false returned.
// Errors: kFailed with what the engine said.
bool print_stream(TextStream& stream, TerminalWriter& writer, const std::function<bool()>& stop = {});

}  // namespace qwen
