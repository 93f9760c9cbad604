// The queue before the thread that writes: bounded, in order, and never in the way of who has something to say.
#include "logging/log_writer.h"

#include <condition_variable>
#include <mutex>

#include "log_fixture.h"

namespace qwen::test {
namespace {

using std::chrono::milliseconds;

LogRecord record(LogLevel level, const std::string& text) { return {.level = level, .message = text}; }

// Takes what is written; can be held up.
struct Target {
  void write(const std::vector<LogRecord>& records, uint64_t dropped_before) {
    std::unique_lock lock(mutex);
    entered = true;
    go.wait(lock, [this] { return open; });
    for (const LogRecord& one : records) texts.push_back(one.message);
    dropped += dropped_before;
  }
  void set_open(bool value) {
    const std::lock_guard lock(mutex);
    open = value;
    go.notify_all();
  }
  std::vector<std::string> all() {
    const std::lock_guard lock(mutex);
    return texts;
  }

  std::mutex mutex;
  std::condition_variable go;
  bool open = true;
  std::atomic<bool> entered{false};
  std::vector<std::string> texts;
  uint64_t dropped = 0;
};

class LogWriters : public LogFolder {
 protected:
  std::unique_ptr<LogWriter> writer(LogWriter::Bounds bounds = {}, milliseconds tick = std::chrono::hours(1)) const {
    return std::make_unique<LogWriter>([target = target_](const std::vector<LogRecord>& records,
                                                          uint64_t dropped) { target->write(records, dropped); },
                                       bounds, tick);
  }
  const std::shared_ptr<Target> target_ = std::make_shared<Target>();
};

TEST_F(LogWriters, WritesInOrderAndAllOfItBeforeItEnds) {
  const auto log = writer();
  std::vector<std::string> said;
  for (int i = 0; i < 1000; ++i) {
    said.push_back(std::to_string(i));
    log->push(record(i % 7 == 0 ? LogLevel::kError : LogLevel::kInfo, said.back()));
  }
  log->stop(std::chrono::seconds(10));
  EXPECT_EQ(target_->all(), said);
  EXPECT_EQ(log->dropped(), 0u);
}

TEST_F(LogWriters, AFlushWaitsForWhatWasSaid) {
  const auto log = writer();
  log->push(record(LogLevel::kInfo, "one"));
  EXPECT_TRUE(log->flush(std::chrono::seconds(10)));
  EXPECT_EQ(target_->all().size(), 1u);
  target_->set_open(false);
  log->push(record(LogLevel::kInfo, "two"));
  EXPECT_FALSE(log->flush(milliseconds(20)));
  target_->set_open(true);
}

TEST_F(LogWriters, UnderPressureInfoIsDroppedAndCountedErrorsAreNot) {
  target_->set_open(false);
  const auto log = writer({.bytes = 10'000, .urgent_bytes = 1'000'000});
  log->push(record(LogLevel::kInfo, "first"));
  ASSERT_TRUE(eventually([&] { return target_->entered.load(); }));  // the rest waits behind it
  for (int i = 0; i < 1000; ++i) log->push(record(LogLevel::kInfo, std::string(100, 'i')));
  for (int i = 0; i < 1000; ++i) log->push(record(LogLevel::kError, "error"));
  EXPECT_GT(log->dropped(), 900u);
  EXPECT_LT(log->dropped(), 1000u);
  target_->set_open(true);
  log->stop(std::chrono::seconds(10));
  const auto texts = target_->all();
  EXPECT_EQ(std::count(texts.begin(), texts.end(), "error"), 1000);
  EXPECT_EQ(texts.size() + log->dropped(), 2001u);
  EXPECT_EQ(target_->dropped, log->dropped());
}

TEST_F(LogWriters, AWriteThatHangsHoldsNobodyUp) {
  target_->set_open(false);
  auto log = writer();
  log->push(record(LogLevel::kInfo, "stuck"));
  const auto start = std::chrono::steady_clock::now();
  log->stop(milliseconds(50));
  log.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  target_->set_open(true);
  EXPECT_TRUE(eventually([&] { return target_->all().size() == 1; }));
}

TEST_F(LogWriters, TicksWithNothingToWrite) {
  target_->entered = false;
  const auto log = writer({}, milliseconds(5));
  ASSERT_TRUE(eventually([&] { return target_->entered.exchange(false); }));
  EXPECT_TRUE(eventually([&] { return target_->entered.load(); }));
  log->stop(std::chrono::seconds(10));
}

TEST_F(LogWriters, AFatalSignalIsTheLastLine) {
  const auto log = writer();
  log->push(record(LogLevel::kInfo, "before"));
  log->push_fatal_signal(11);
  EXPECT_TRUE(log->flush(std::chrono::seconds(10)));
  ASSERT_EQ(target_->all().size(), 2u);
  EXPECT_EQ(target_->all().back(), "fatal signal 11 (Segmentation fault): the process ends");
}

}  // namespace
}  // namespace qwen::test
