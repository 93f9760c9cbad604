// SIGSEGV, SIGABRT, SIGFPE, SIGILL and SIGBUS: a last call before the process ends by the signal as it would have
// (status, core file). std::terminate and failed internal checks are SIGABRT, too.
#pragma once

#include <functional>

namespace qwen {

// `last_call` may do what is async-signal-safe, and runs once however many threads fail. Empty: none. Not at the same
// time from two threads.
void on_fatal_signal(std::function<void(int signal)> last_call);

}  // namespace qwen
