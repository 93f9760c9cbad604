// service.log, access.log, error.log and standard error as one sink of the process.
#include "logging/service_log.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <csignal>
#include <vector>

#include "base/log.h"
#include "log_fixture.h"

namespace qwen::test {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::Not;

class ServiceLogs : public LogFolder {
 protected:
  ServiceLogs() { EXPECT_EQ(::pipe2(pipe_, O_CLOEXEC), 0); }
  ~ServiceLogs() override {
    ::close(pipe_[0]);
    ::close(pipe_[1]);
    set_log_level(LogLevel::kInfo);
  }

  ServiceLogOptions options() const { return {.file = path(), .retry = milliseconds(10), .console = pipe_[1]}; }
  std::string console() const {
    std::string text(65536, '\0');
    ::fcntl(pipe_[0], F_SETFL, O_NONBLOCK);
    const ssize_t size = ::read(pipe_[0], text.data(), text.size());
    text.resize(size > 0 ? static_cast<size_t>(size) : 0);
    return text;
  }
  static LogStats::Target target(const ServiceLog& log, std::string_view name) {
    for (const LogStats::Target& one : log.stats().targets)
      if (one.name == name) return one;
    return {};
  }

  int pipe_[2] = {-1, -1};
};

TEST_F(ServiceLogs, EachLineGoesWhereTheGuideLooksForIt) {
  {
    const ServiceLog log(options());
    log_info("self-check: memory 12 %");
    log_error("it broke\nbadly");
    log_access("GET /health status 200 response_time 0.000100");
    log_to_files(LogLevel::kInfo, "listening");
  }
  EXPECT_THAT(read(), HasSubstr(" - qwen-thinking - INFO - self-check: memory 12 %\n"));
  EXPECT_THAT(read(), HasSubstr(" - qwen-thinking - ERROR - it broke\\x0abadly\n"));
  EXPECT_THAT(read(), HasSubstr("listening"));
  EXPECT_THAT(read(), Not(HasSubstr("response_time")));
  EXPECT_THAT(read("access.log"), testing::EndsWith(" - INFO - GET /health status 200 response_time 0.000100\n"));
  EXPECT_THAT(read("error.log"), testing::EndsWith("it broke\\x0abadly\n"));
}

TEST_F(ServiceLogs, StandardErrorHasAllButWhatWasSaidThere) {
  {
    const ServiceLog log(options());
    log_info("one");
    log_access("two");
    log_to_files(LogLevel::kInfo, "three");
  }
  const std::string text = console();
  EXPECT_THAT(text, HasSubstr("INFO - one\n"));
  EXPECT_THAT(text, HasSubstr("INFO - two\n"));
  EXPECT_THAT(text, Not(HasSubstr("three")));
}

TEST_F(ServiceLogs, TheAccessLogIsWholeAtEveryLevel) {
  set_log_level(LogLevel::kError);
  {
    const ServiceLog log(options());
    log_access("a request");
    log_info("nothing");
  }
  EXPECT_THAT(read("access.log"), HasSubstr("a request"));
  EXPECT_EQ(read(), "");
  EXPECT_EQ(console(), "");
}

TEST_F(ServiceLogs, JsonIsOneObjectALine) {
  ServiceLogOptions json = options();
  json.format = "json";
  {
    const ServiceLog log(json);
    ASSERT_TRUE(access_wants_members());
    log_info("says \"hi\" \\ \x1b");
    log_access("text", "\"msg\":\"access\",\"status\":200");
  }
  EXPECT_THAT(read(), testing::MatchesRegex(
                          R"(\{"ts":"[0-9]+-[0-9]+-[0-9]+T[0-9:]+\.[0-9]+Z","level":"INFO","name":"qwen-thinking",)"
                          R"("msg":"says ."hi." .. ..x1b"\})"
                          "\n"));
  EXPECT_THAT(read("access.log"), HasSubstr(R"("msg":"access","status":200})"));
}

TEST_F(ServiceLogs, ReopensWhenAsked) {
  const ServiceLog log(options());
  log_info("before");
  flush_log(std::chrono::seconds(10));
  for (const char* name : {"service.log", "access.log", "error.log"})
    if (exists(name)) std::filesystem::rename(path(name), path(std::string(name) + ".old"));
  reopen_log();
  EXPECT_TRUE(eventually([&] { return exists("service.log") && exists("access.log") && exists("error.log"); }))
      << "without a line being said";
  EXPECT_THAT(read("service.log.old"), HasSubstr("before"));
}

TEST_F(ServiceLogs, FilesThatCannotBeWrittenAreSaidOnceAndTriedAgain) {
  ServiceLogOptions away = options();
  away.file = path("not/there/service.log");
  const ServiceLog log(away);
  ASSERT_TRUE(eventually([&] { return target(log, "error").failures > 2; }));
  log_error("kept");
  flush_log(std::chrono::seconds(10));
  const std::string text = console();
  EXPECT_THAT(text, HasSubstr("WARNING - log " + path("not/there/service.log") +
                              ", access.log, error.log: cannot be opened: No such"));
  EXPECT_THAT(text, HasSubstr("ERROR - kept"));
  EXPECT_EQ(text.find("there/service.log"), text.rfind("there/service.log"));
  EXPECT_FALSE(target(log, "service").writable);
  EXPECT_FALSE(log.stats().disk);
  std::filesystem::create_directories(path("not/there"));
  ASSERT_TRUE(eventually([&] { return target(log, "error").writable && target(log, "service").writable; }));
  EXPECT_THAT(read("not/there/error.log"), HasSubstr("kept"));
  EXPECT_TRUE(eventually([&] { return log.stats().disk.has_value(); }));
  EXPECT_GT(log.stats().disk->size_bytes, log.stats().disk->free_bytes / 2);
}

// Nobody reads the pipe behind standard error: the files go on, and so does who logs.
TEST_F(ServiceLogs, AConsoleThatHangsHoldsNothingElseUp) {
  ServiceLogOptions small = options();
  small.queue.bytes = 100'000;
  const auto start = std::chrono::steady_clock::now();
  {
    const ServiceLog log(small);
    for (int i = 0; i < 100; ++i) {
      for (int line = 0; line < 20; ++line) log_info(std::string(100, 'x'));
      flush_log(milliseconds(1));
    }
    log_error("the last");
    EXPECT_TRUE(eventually([&] { return target(log, "stderr").dropped > 100; }));
    EXPECT_TRUE(eventually([&] { return read("error.log").size() > 0; }));
    EXPECT_EQ(target(log, "service").dropped, 0u);
    EXPECT_THAT(read(), HasSubstr("the last"));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
  pipe_[0] = pipe_[1] =
      -1;  // left to the thread that still waits there: a closed one's number would be the next test's
}

// The files cannot keep up: their queue has room for nothing.
TEST_F(ServiceLogs, WhatIsDroppedIsCountedForItsFile) {
  ServiceLogOptions none = options();
  none.queue = {.bytes = 0, .urgent_bytes = 1 << 20};
  {
    const ServiceLog log(none);
    log_access("a request");
    log_access("another");
    log_info("lost");
    log_error("kept");
    EXPECT_EQ(target(log, "access").dropped, 2u);
    EXPECT_EQ(target(log, "service").dropped, 1u);
    EXPECT_EQ(target(log, "error").dropped, 0u);
    EXPECT_EQ(target(log, "stderr").dropped, 3u);
  }
  EXPECT_THAT(read("service.log"), HasSubstr("ERROR - kept"));
  EXPECT_THAT(read("service.log"), HasSubstr(" lines are missing in the log files"));
  EXPECT_THAT(read("service.log"), HasSubstr(" lines are missing on standard error"));
  EXPECT_EQ(read("access.log"), "");
}

TEST_F(ServiceLogs, AClosedConsoleIsCounted) {
  const auto ignore = std::signal(SIGPIPE, SIG_IGN);
  ::close(pipe_[0]);
  {
    const ServiceLog log(options());
    log_info("said");
    EXPECT_TRUE(eventually([&] { return target(log, "stderr").dropped == 1; }));
    EXPECT_FALSE(target(log, "stderr").writable);
  }
  EXPECT_THAT(read(), HasSubstr("said"));
  std::signal(SIGPIPE, ignore);
}

TEST_F(ServiceLogs, LevelsAreCounted) {
  const ServiceLog log(options());
  log_info("1");
  log_info("2");
  log_error("3");
  log_access("4");
  for (const LogStats::Said& said : log.stats().said)
    EXPECT_EQ(said.lines, said.level == LogLevel::kInfo ? 2u : said.level == LogLevel::kError ? 1u : 0u);
}

// The process that ends by a signal has said why, after all else, in error.log, too.
TEST_F(ServiceLogs, ASignalThatEndsTheProcessIsTheLastLine) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  const std::vector<int> numbers = {SIGABRT};  // the other one is the sanitizer's
#else
  const std::vector<int> numbers = {SIGABRT, SIGSEGV};
#endif
  for (const int number : numbers) {
    const pid_t child = ::fork();
    if (child == 0) {
      const rlimit no_core{0, 0};
      ::setrlimit(RLIMIT_CORE, &no_core);
      const ServiceLog log(options());
      for (int i = 0; i < 1000; ++i) log_info("line ", i);
      if (number == SIGABRT)
        QWEN_CHECK(1 + 1 == 3);
      else
        *static_cast<volatile char*>(::mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) = 1;
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << status;
    EXPECT_EQ(WTERMSIG(status), number);
    EXPECT_THAT(read(), HasSubstr("line 999\n"));
    EXPECT_THAT(read("error.log"), HasSubstr("ERROR - fatal signal " + std::to_string(number)));
    EXPECT_THAT(read(), testing::EndsWith("the process ends\n"));
    console();
  }
}

TEST(ServiceLogPath, IsTheConfiguredOneOrTheGuides) {
  EXPECT_EQ(service_log_path("none"), "");
  EXPECT_EQ(service_log_path("here/service.log"), "here/service.log");
  EXPECT_EQ(service_log_path("/tmp"), "/tmp/service.log");
  if (!std::filesystem::is_directory("/app/logs")) {
    EXPECT_EQ(service_log_path(""), "");
    EXPECT_EQ(service_log_path("/app/logs/service.log"), "");
    EXPECT_EQ(service_log_path("/app/logs/other.log"), "/app/logs/other.log");
  }
}

}  // namespace
}  // namespace qwen::test
