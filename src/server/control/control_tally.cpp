#include "server/control/control_tally.h"

#include <exception>

#include "base/log.h"

namespace qwen {

ControlTally::~ControlTally() {
  try {
    done_(sum_);
  } catch (const std::exception& error) {  // of memory: whoever asked is answered by his connection
    try {
      log_error("a control request: ", error.what());
    } catch (const std::exception&) {
    }
  }
}

}  // namespace qwen
