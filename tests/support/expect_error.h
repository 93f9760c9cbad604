// Checks that something throws the right qwen::Error: its code, words of its message, and that the message is one
// printable line of at most 1 KiB.
//   EXPECT_TRUE(fails_with([&] { Checkpoint::open(folder); }, ErrorCode::kBadData, "truncated"));
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "base/error.h"

namespace qwen {

template <typename Function>
testing::AssertionResult fails_with(const Function& function, ErrorCode code, std::string_view words) {
  try {
    function();
  } catch (const Error& error) {
    const std::string message = error.what();
    if (error.code() != code)
      return testing::AssertionFailure() << "code is " << static_cast<int>(error.code()) << ": " << message;
    if (message.find(words) == std::string::npos)
      return testing::AssertionFailure() << "no \"" << words << "\" in: " << message;
    const bool control =
        std::any_of(message.begin(), message.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
    if (control || message.size() > 1024) return testing::AssertionFailure() << "not one short line: " << message;
    return testing::AssertionSuccess();
  }
  return testing::AssertionFailure() << "nothing was thrown";
}

}  // namespace qwen
