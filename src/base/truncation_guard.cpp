// See truncation_guard.h.
#include "base/truncation_guard.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <string>

#include "base/error.h"
#include "base/log.h"
#include "base/quote.h"

namespace qwen {
namespace {

constexpr size_t kMaxGuards = 2048;
constexpr std::chrono::milliseconds kLogFlush{500};
constexpr size_t kMaxPath = 700, kMaxMend = 160, kMaxMessage = 1024;

// `end` is set last and cleared first: a handler that finds an address in the range sees the message of that range.
struct Slot {
  std::atomic<bool> taken = false;
  std::atomic<uintptr_t> begin = 0;
  std::atomic<uintptr_t> end = 0;  // 0: guards nothing
  std::array<char, kMaxMessage> message{};
  size_t message_size = 0;
};

constinit std::array<Slot, kMaxGuards> slots;  // zero pages until they are used
std::atomic_flag reported = ATOMIC_FLAG_INIT;
struct sigaction previous_action;

void on_bus_error(int, siginfo_t* info, void*) {
  const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
  const bool sent = info->si_code <= 0;  // by kill(), not by a memory access
  for (const Slot& slot : slots) {
    if (sent || address >= slot.end.load() || address < slot.begin.load()) continue;
    while (reported.test_and_set()) ::pause();  // another thread says it and ends the process
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, slot.message.data(), slot.message_size);
    flush_log(kLogFlush);
    ::_exit(exit_status(ErrorCode::kBadData));
  }
  ::sigaction(SIGBUS, &previous_action, nullptr);  // the access is repeated on return and meets that action
  if (sent) ::raise(SIGBUS);
}

void install_handler() {
  struct sigaction action {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGBUS, &action, &previous_action);
}

std::string message_for(std::string_view path, std::string_view mend) {
  std::string shown = escape_controls(path);
  if (shown.size() > kMaxPath) shown = "…" + shown.substr(shown.size() - kMaxPath);
  return str("qwen-thinking: ", shown, ": was cut short or became unreadable while it was read; ",
             mend.substr(0, kMaxMend), '\n');
}

}  // namespace

TruncationGuard::TruncationGuard(const void* begin, size_t size, std::string_view path, std::string_view mend)
    : slot_(kMaxGuards) {
  static std::once_flag installed;
  std::call_once(installed, install_handler);
  const std::string message = message_for(path, mend);
  QWEN_CHECK(message.size() <= kMaxMessage);
  for (size_t i = 0; i < slots.size(); ++i) {
    if (slots[i].taken.exchange(true)) continue;
    slot_ = i;
    Slot& slot = slots[i];
    std::memcpy(slot.message.data(), message.data(), message.size());
    slot.message_size = message.size();
    const auto first = reinterpret_cast<uintptr_t>(begin);
    slot.begin.store(first);
    slot.end.store(first + size);
    return;
  }
}

TruncationGuard::~TruncationGuard() {
  if (slot_ == kMaxGuards) return;
  slots[slot_].end.store(0);
  slots[slot_].taken.store(false);
}

}  // namespace qwen
