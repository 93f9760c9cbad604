#include "logging/fatal_signals.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <mutex>

namespace qwen {
namespace {

using LastCall = std::function<void(int)>;

constexpr unsigned kOthersWait = 5;  // seconds, for the thread that has the last call

std::atomic<LastCall*> current{nullptr};
std::atomic<bool> calling{false};

void handle(int number) {
  if (calling.exchange(true))
    ::sleep(kOthersWait);
  else if (const LastCall* call = current)
    (*call)(number);
  std::signal(number, SIG_DFL);  // NOLINT(cert-err33-c): cannot fail for these
  ::raise(number);               // pending until the handler returns
}

void install() {
  for (const int number : {SIGSEGV, SIGABRT, SIGFPE, SIGILL, SIGBUS}) {
    struct sigaction action {};
    if (::sigaction(number, nullptr, &action) != 0 || action.sa_handler != SIG_DFL) continue;  // somebody's already
    action = {};
    action.sa_handler = handle;
    ::sigemptyset(&action.sa_mask);
    ::sigaction(number, &action, nullptr);
  }
}

}  // namespace

void on_fatal_signal(LastCall last_call) {
  delete current.exchange(last_call ? new LastCall(std::move(last_call)) : nullptr);
  static std::once_flag installed;
  if (current != nullptr) std::call_once(installed, install);
}

}  // namespace qwen
