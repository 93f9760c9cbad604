// What every harness shares. A harness is one function over any bytes: it must not crash, hang or fill the memory, what
// is accepted must hold what the reader's header promises, and what is refused must be refused as documented.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "base/utf8.h"

// libFuzzer's entry point; replay_main.cpp calls it where there is no libFuzzer.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

// Ends the process, which the fuzzer and the replay both see.
#define FUZZ_CHECK(condition) \
  (static_cast<bool>(condition) ? void(0) : ::qwen::fuzz::property_fails(#condition, __FILE__, __LINE__))

namespace qwen::fuzz {

[[noreturn]] inline void property_fails(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: the property does not hold: %s\n", file, line, condition);
  std::abort();
}

inline std::string_view text_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// A refusal is shown to people in one line, whatever bytes it is about.
inline void check_message(std::string_view message) {
  FUZZ_CHECK(!message.empty() && message.size() <= 4096);
  FUZZ_CHECK(utf8_valid(message));
  for (const char c : message) FUZZ_CHECK(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
}

// Whether `read` accepts. The only way to refuse is an Error of this code; every other exception ends the harness.
template <typename Read>
bool accepts(ErrorCode refusal, const Read& read) {
  try {
    read();
    return true;
  } catch (const Error& error) {
    FUZZ_CHECK(error.code() == refusal);
    check_message(error.what());
    return false;
  }
}

// The input's `count` parts between lines of "---"; missing ones are empty.
inline std::vector<std::string_view> parts(std::string_view text, size_t count) {
  constexpr std::string_view kSeparator = "\n---\n";
  std::vector<std::string_view> result(count);
  for (size_t i = 0; i < count; ++i) {
    const size_t end = i + 1 == count ? text.npos : text.find(kSeparator);
    result[i] = text.substr(0, end);
    text.remove_prefix(end == text.npos ? text.size() : end + kSeparator.size());
  }
  return result;
}

// Choices that depend on the input alone, so that an input stays plain text and its replay is exact.
class Choices {
 public:
  explicit Choices(std::string_view input) : random_(static_cast<uint32_t>(xxh64(input))) {}
  size_t below(size_t bound) { return random_() % bound; }
  bool coin() { return below(2) == 0; }

  // `text` in pieces, some of them empty: all of one byte, short ones or long ones.
  std::vector<std::string_view> cut(std::string_view text) {
    static constexpr size_t kLongest[] = {1, 3, 20, 500};
    const size_t longest = kLongest[below(4)];
    std::vector<std::string_view> pieces;
    while (!text.empty()) {
      const size_t length = std::min(text.size(), longest == 1 ? 1 : below(longest + 1));
      pieces.push_back(text.substr(0, length));
      text.remove_prefix(length);
    }
    return pieces;
  }

 private:
  std::minstd_rand random_;
};

}  // namespace qwen::fuzz
