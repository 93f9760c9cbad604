// The memory that the processes of a service share.
#include "server/workers/worker_board.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "metrics_text.h"
#include "support/expect_error.h"

namespace qwen::test {
namespace {

ServiceSnapshot snapshot(int requests, int running) {
  ServiceSnapshot result{.metrics = "# TYPE a_total counter\na_total " + std::to_string(requests) +
                                    "\n# TYPE qwen_requests_running gauge\nqwen_requests_running " +
                                    std::to_string(running) + "\n"};
  result.figures.successful = static_cast<uint64_t>(requests);
  result.figures.running = running;
  result.figures.shared_bytes = 10;
  result.figures.own_bytes = 1;
  return result;
}

TEST(WorkerBoard, TheWholeIsTheSum) {
  const auto board = WorkerBoard::create(2);
  EXPECT_EQ(board->total().metrics, "");
  EXPECT_TRUE(board->publish(0, snapshot(3, 1)));
  EXPECT_TRUE(board->publish(1, snapshot(5, 2)));
  EXPECT_TRUE(board->publish(1, snapshot(6, 4)));
  const ServiceSnapshot total = board->total();
  EXPECT_EQ(figure(total.metrics, "a_total"), 9);
  EXPECT_EQ(figure(total.metrics, "qwen_requests_running"), 5);
  EXPECT_EQ(total.figures.successful, 9);
  EXPECT_EQ(total.figures.own_bytes, 2);
  EXPECT_EQ(total.figures.shared_bytes, 10) << "pages of files count once";
}

TEST(WorkerBoard, AWorkersFiguresOutliveIt) {
  const auto board = WorkerBoard::create(2);
  board->set_state(1, WorkerState::kReady);
  board->set_accepting(1, true);
  for (int life = 1; life <= 3; ++life) {
    board->publish(1, snapshot(10, 2));
    EXPECT_EQ(board->total().figures.successful, 10 * life);
    board->retire(1);
    EXPECT_EQ(figure(board->total().metrics, "a_total"), 10 * life);
    EXPECT_EQ(board->total().figures.successful, 10 * life);
    EXPECT_EQ(board->total().figures.running, 0);
  }
  EXPECT_EQ(board->state(1), WorkerState::kDown);
  EXPECT_FALSE(board->anybody_accepts());
}

TEST(WorkerBoard, NeverGoesBackWhileOthersWriteAndEnd) {
  const auto board = WorkerBoard::create(1);
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (int life = 0; !stop; ++life) {
      for (int i = 1; i <= 50; ++i) board->publish(0, snapshot(i, 1));
      board->retire(0);
    }
  });
  uint64_t last = 0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  for (int i = 0; i < 300 || (last <= 1000 && std::chrono::steady_clock::now() < end); ++i) {
    const ServiceSnapshot total = board->total();
    ASSERT_GE(total.figures.successful, last);
    ASSERT_EQ(static_cast<double>(total.figures.successful), std::max(0.0, figure(total.metrics, "a_total")));
    last = total.figures.successful;
  }
  stop = true;
  writer.join();
  EXPECT_GT(last, 1000);
}

TEST(WorkerBoard, AnotherProcessSeesIt) {
  const auto board = WorkerBoard::create(3);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto seen = WorkerBoard::open(FileDescriptor(::dup(board->file())));
    seen->publish(2, snapshot(4, 1));
    seen->set_state(2, WorkerState::kReady);
    seen->set_progress(2, 0.5);
    seen->set_heartbeat(2, WorkerBoard::Clock::time_point(std::chrono::seconds(7)));
    ::_exit(seen->workers());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_EQ(WEXITSTATUS(status), 3);
  EXPECT_EQ(board->total().figures.successful, 4);
  EXPECT_EQ(board->count(WorkerState::kReady), 1);
  EXPECT_EQ(board->progress(2), 0.5);
  EXPECT_EQ(board->heartbeat(2), WorkerBoard::Clock::time_point(std::chrono::seconds(7)));
  EXPECT_EQ(board->heartbeat(1), std::nullopt);
}

TEST(WorkerBoard, TheLessBusyGoBefore) {
  const auto board = WorkerBoard::create(3);
  for (const int i : {0, 1}) board->set_accepting(i, true);
  board->load(0) = 2;
  board->load(1) = 1;
  EXPECT_TRUE(board->somebody_is_less_busy(0));
  EXPECT_FALSE(board->somebody_is_less_busy(1)) << "the third takes nothing";
  board->load(0) = 1;
  EXPECT_FALSE(board->somebody_is_less_busy(0)) << "as busy is not less busy";
}

TEST(WorkerBoard, WhatIsNoBoardIsRefused) {
  char name[] = "/tmp/no-board-XXXXXX";
  const int file = ::mkstemp(name);
  ::unlink(name);
  EXPECT_TRUE(fails_with([&] { WorkerBoard::open(FileDescriptor(::dup(file))); }, ErrorCode::kInternal, "none"));
  ASSERT_EQ(::ftruncate(file, 64 << 20), 0);
  EXPECT_TRUE(fails_with([&] { WorkerBoard::open(FileDescriptor(file)); }, ErrorCode::kInternal, "another version"));
  const auto board = WorkerBoard::create(1);
  EXPECT_FALSE(board->publish(0, {.metrics = std::string(size_t{5} << 20, 'a')})) << "larger than its place";
}

}  // namespace
}  // namespace qwen::test
