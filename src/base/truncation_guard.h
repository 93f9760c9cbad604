// Reading a mapped file behind its end, once somebody has cut it, is SIGBUS. While a guard exists for the mapping, that
// becomes one line on stderr that names the file, and exit status 65 (ErrorCode::kBadData): the thread that reads may
// be inside any kernel, so there is nobody to throw to. Invariant: the handler touches static memory only and calls
// nothing but async-signal-safe functions; a SIGBUS outside the guarded ranges goes to whoever handled it before.
#pragma once

#include <cstddef>
#include <string_view>

namespace qwen {

class TruncationGuard {
 public:
  // [begin, begin + size) is the mapping of the file `path`; `mend`: what the line tells to do, "copy it again". There
  // are slots for twice the files that a checkpoint may have; a guard beyond them guards nothing.
  TruncationGuard(const void* begin, size_t size, std::string_view path, std::string_view mend);
  ~TruncationGuard();  // before the range is unmapped
  TruncationGuard(const TruncationGuard&) = delete;
  TruncationGuard& operator=(const TruncationGuard&) = delete;

 private:
  size_t slot_;
};

}  // namespace qwen
