#include "base/error.h"

#include <cstdio>
#include <cstdlib>

namespace qwen {

void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "internal check failed: %s (%s:%d)\n", condition, file, line);
  std::abort();
}

}  // namespace qwen
