// Lines and interrupts of `chat`, through real descriptors and signals.
#include "commands/line_reader.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <string>
#include <string_view>
#include <thread>

#include "commands/interrupts.h"

namespace qwen {
namespace {

using Result = LineReader::Result;

class LineReaderTest : public testing::Test {
 protected:
  ~LineReaderTest() override {
    ::close(pipe_[0]);
    close_input();
    std::signal(SIGINT, SIG_DFL);
  }
  void type(std::string_view text) {
    EXPECT_EQ(::write(pipe_[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  void close_input() {
    if (pipe_[1] >= 0) ::close(pipe_[1]);
    pipe_[1] = -1;
  }

  static std::array<int, 2> open_pipe() {
    std::array<int, 2> ends{-1, -1};
    EXPECT_EQ(::pipe(ends.data()), 0);
    return ends;
  }

  std::array<int, 2> pipe_ = open_pipe();
  Interrupts interrupts_;
  LineReader reader_{pipe_[0], interrupts_.descriptor()};
  std::string line_;
};

TEST_F(LineReaderTest, LinesAndAnUnfinishedLastOne) {
  type("one\n\ntwo\nthr");
  for (const char* expected : {"one", "", "two"}) {
    EXPECT_EQ(reader_.next(line_), Result::kLine);
    EXPECT_EQ(line_, expected);
  }
  type("ee");
  close_input();
  EXPECT_EQ(reader_.next(line_), Result::kLine);
  EXPECT_EQ(line_, "three");
  EXPECT_EQ(reader_.next(line_), Result::kEnd);
}

TEST_F(LineReaderTest, AnInterruptBeforeTheWaitIsSeenOnceAndBeforeTheLines) {
  type("one\ntwo\n");
  EXPECT_EQ(reader_.next(line_), Result::kLine);
  std::raise(SIGINT);
  std::raise(SIGINT);
  EXPECT_EQ(reader_.next(line_), Result::kInterrupted);
  EXPECT_TRUE(interrupts_.take());
  EXPECT_FALSE(interrupts_.take());
  EXPECT_EQ(reader_.next(line_), Result::kLine);
  EXPECT_EQ(line_, "two");
}

TEST_F(LineReaderTest, AnInterruptThatAnotherThreadGetsEndsTheWait) {
  std::thread other([] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    std::raise(SIGINT);  // to this very thread
  });
  EXPECT_EQ(reader_.next(line_), Result::kInterrupted);
  other.join();
  EXPECT_TRUE(interrupts_.take());
}

TEST_F(LineReaderTest, AWriteThatASignalMeetsGoesOn) {
  // More than the pipe holds, so the write waits; the signal comes, then the reader.
  const std::string text(1 << 20, 'x');
  const pthread_t writer = ::pthread_self();
  std::thread reader([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    ::pthread_kill(writer, SIGINT);
    std::string taken(text.size(), ' ');
    for (size_t got = 0; got < text.size();) {
      const ssize_t n = ::read(pipe_[0], taken.data() + got, taken.size() - got);
      if (n <= 0) break;
      got += static_cast<size_t>(n);
    }
  });
  for (size_t sent = 0; sent < text.size();) {
    const ssize_t n = ::write(pipe_[1], text.data() + sent, text.size() - sent);
    ASSERT_GT(n, 0);
    sent += static_cast<size_t>(n);
  }
  reader.join();
  EXPECT_TRUE(interrupts_.take());
}

}  // namespace
}  // namespace qwen
