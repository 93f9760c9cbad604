// A log file among full disks, missing folders, pipes, other processes and rotation.
#include "logging/log_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>

#include "log_fixture.h"

namespace qwen::test {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

class LogFiles : public LogFolder {
 protected:
  LogFileOptions options(uint64_t max_bytes = 0, int backups = 0) const {
    return {.path = path(), .max_bytes = max_bytes, .backup_count = backups, .retry = milliseconds(0)};
  }
};

TEST_F(LogFiles, AppendsToWhatIsThere) {
  std::ofstream(path()) << "before\n";
  LogFile file(options());
  file.append("one\ntwo\n");
  file.append("three\n");
  EXPECT_EQ(read(), "before\none\ntwo\nthree\n");
  EXPECT_FALSE(file.take_news());
  EXPECT_TRUE(file.writable());
}

TEST_F(LogFiles, ALineThatAKilledProcessBeganIsEnded) {
  std::ofstream(path()) << "cut of";
  LogFile file(options());
  file.append("next\n");
  EXPECT_EQ(read(), "cut of\nnext\n");
}

TEST_F(LogFiles, MakesItsFolderAndNoMore) {
  LogFile near({.path = path("logs/service.log"), .retry = milliseconds(0)});
  near.append("line\n");
  EXPECT_EQ(read("logs/service.log"), "line\n");
  LogFile far({.path = path("no/where/service.log"), .retry = milliseconds(0)});
  far.append("line\n");
  EXPECT_FALSE(exists("no"));
  EXPECT_FALSE(far.writable());
  EXPECT_THAT(far.take_news()->text, HasSubstr("No such file or directory"));
}

TEST_F(LogFiles, RotatesBeforeItWouldHoldMore) {
  LogFile file(options(10, 2));
  for (const char* line : {"1234\n", "5678\n", "9abc\n", "defghijklmnop\n", "q\n"}) file.append(line);
  EXPECT_EQ(read(), "q\n");
  EXPECT_EQ(read("service.log.1"), "defghijklmnop\n");
  EXPECT_EQ(read("service.log.2"), "9abc\n");
  EXPECT_FALSE(exists("service.log.3"));
}

TEST_F(LogFiles, ManyLinesAtOnceAreDividedBetweenLines) {
  LogFile file(options(100, 50));
  std::string lines;
  for (int i = 0; i < 200; ++i) lines += "line " + std::to_string(1000 + i) + "\n";
  file.append(lines);
  std::string all = read();
  for (int i = 1; exists("service.log." + std::to_string(i)); ++i) {
    const std::string part = read("service.log." + std::to_string(i));
    EXPECT_LE(part.size(), 100u);
    EXPECT_EQ(part.back(), '\n');
    all.insert(0, part);
  }
  EXPECT_EQ(all, lines);
}

TEST_F(LogFiles, EitherBoundAt0IsNoRotation) {
  for (auto [bytes, backups] : {std::pair{0, 3}, {10, 0}}) {
    LogFile file(options(static_cast<uint64_t>(bytes), backups));
    for (int i = 0; i < 10; ++i) file.append("a longer line\n");
    EXPECT_FALSE(exists("service.log.1"));
  }
}

TEST_F(LogFiles, FollowsItsNameWhenSomebodyElseMovesIt) {
  LogFile file(options());
  file.append("one\n");
  std::filesystem::rename(path(), path("service.log.1"));
  file.append("two\n");
  EXPECT_EQ(read("service.log.1"), "one\n");
  EXPECT_EQ(read(), "two\n");
  std::filesystem::rename(path(), path("service.log.2"));
  std::ofstream(path()) << "";  // logrotate's create
  file.append("created\n");
  EXPECT_EQ(read(), "created\n");
  std::filesystem::remove(path());
  file.append("three\n");
  EXPECT_EQ(read(), "three\n");
  std::filesystem::resize_file(path(), 0);  // logrotate's copytruncate
  file.append("four\n");
  EXPECT_EQ(read(), "four\n");
  std::filesystem::remove_all(folder_);
  file.append("five\n");
  EXPECT_EQ(read(), "five\n");
}

TEST_F(LogFiles, PipesAndFoldersAreRefusedWithoutWaiting) {
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  ASSERT_EQ(::mkdir(path("folder").c_str(), 0700), 0);
  std::filesystem::create_symlink("/dev/full", path("device"));
  for (const char* name : {"pipe", "folder", "device"}) {
    LogFile file({.path = path(name), .retry = milliseconds(0)});
    file.append("line\n");
    EXPECT_FALSE(file.writable()) << name;
    const auto news = file.take_news();
    ASSERT_TRUE(news);
    EXPECT_EQ(news->level, LogLevel::kWarning);
    EXPECT_THAT(news->text, HasSubstr("is no regular file")) << name;
  }
}

TEST_F(LogFiles, WhatFailsIsKeptUpToABoundAndSaidOnce) {
  const std::string there = path("away/deep/service.log");
  LogFile file({.path = there, .retry = milliseconds(0), .max_pending_bytes = 50});
  file.append("lost\n");
  EXPECT_TRUE(file.take_news());
  for (int i = 0; i < 10; ++i) file.append("line " + std::to_string(i) + "   \n");
  EXPECT_FALSE(file.take_news());
  EXPECT_GT(file.failures(), 5u);
  std::filesystem::create_directories(path("away/deep"));
  file.append("");
  EXPECT_EQ(read("away/deep/service.log"), "line 5   \nline 6   \nline 7   \nline 8   \nline 9   \n");
  EXPECT_EQ(file.dropped(), 6u);
  const auto news = file.take_news();
  ASSERT_TRUE(news);
  EXPECT_EQ(news->level, LogLevel::kInfo);
  EXPECT_THAT(news->text, HasSubstr("6 lines were lost"));
}

TEST_F(LogFiles, WhatFailedIsLeftAloneForATime) {
  LogFile file({.path = path("a/b/service.log"), .retry = std::chrono::hours(1)});
  for (int i = 0; i < 5; ++i) file.append("line\n");
  EXPECT_EQ(file.failures(), 1u);
  std::filesystem::create_directories(path("a/b"));
  file.append("line\n");
  EXPECT_FALSE(exists("a/b/service.log"));
  file.reopen();
  file.append("");
  EXPECT_EQ(read("a/b/service.log").size(), 30u);
}

// A disk that takes a part of a line: the rest of it follows, or a new line begins.
TEST_F(LogFiles, AWriteThatIsCutShortLosesNothing) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto ignore = std::signal(SIGXFSZ, SIG_IGN);
  for (const size_t most : {1000u, 25u}) {
    std::filesystem::remove(path());
    LogFile file({.path = path(), .retry = milliseconds(0), .max_pending_bytes = most});
    rlimit small = before;
    small.rlim_cur = 25;
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    for (const char* line : {"0123456789\n", "0123456789\n", "0123456789\n", "abcdefghij\n", "klmnopqrst\n"})
      file.append(line);
    EXPECT_EQ(read(), "0123456789\n0123456789\n012");
    EXPECT_THAT(file.take_news()->text, HasSubstr("File too large"));
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    file.append("");
    EXPECT_EQ(read(), most == 1000 ? "0123456789\n0123456789\n0123456789\nabcdefghij\nklmnopqrst\n"
                                   : "0123456789\n0123456789\n012\nabcdefghij\nklmnopqrst\n");
  }
  std::signal(SIGXFSZ, ignore);
}

TEST_F(LogFiles, AFileThatCannotBeRenamedGrowsOn) {
  ASSERT_EQ(::mkdir(path("service.log.1").c_str(), 0700), 0);
  std::ofstream(path("service.log.1/inside")) << "x";
  LogFile file(options(10, 1));
  for (int i = 0; i < 5; ++i) file.append("a line of it\n");
  EXPECT_EQ(read().size(), 5 * 13u);
  EXPECT_TRUE(file.writable());
  EXPECT_THAT(file.take_news()->text, HasSubstr("cannot be rotated and grows on"));
  std::filesystem::remove_all(path("service.log.1"));
  file.append("new\n");
  EXPECT_EQ(read(), "new\n");
}

// Two processes with one file: each line is there once, whoever rotates.
TEST_F(LogFiles, SeveralWritersShareAFile) {
  constexpr int kWriters = 4, kLines = 500;
  std::vector<std::thread> threads;
  for (int writer = 0; writer < kWriters; ++writer)
    threads.emplace_back([this, writer] {
      LogFile file(options(1000, 1000));
      for (int i = 0; i < kLines; ++i)
        file.append("writer " + std::to_string(writer) + " line " + std::to_string(i) + "\n");
    });
  for (std::thread& thread : threads) thread.join();
  std::string all = read();
  for (int i = 1; exists("service.log." + std::to_string(i)); ++i) all += read("service.log." + std::to_string(i));
  for (int writer = 0; writer < kWriters; ++writer)
    for (int i = 0; i < kLines; ++i)
      EXPECT_NE(all.find("writer " + std::to_string(writer) + " line " + std::to_string(i) + "\n"), std::string::npos);
  EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), kWriters * kLines);
}

}  // namespace
}  // namespace qwen::test
