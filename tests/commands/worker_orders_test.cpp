// What a worker heeds: its supervisor's word on the board, whatever signals say.
#include "commands/worker_orders.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "commands/service_signals.h"
#include "server/config/config_file.h"
#include "server/workers/settings_handover.h"
#include "support/expect_error.h"

namespace qwen {
namespace {

std::string settings(const std::string& text) {
  return spell_settings(resolve_config(std::vector{parse_config(text, "f.yaml")}), std::nullopt);
}

// `body` in a process whose parent made the board, as a worker's did; its result.
template <typename Body>
int as_worker(const std::shared_ptr<WorkerBoard>& board, Body body) {
  const pid_t child = ::fork();
  if (child == 0)
    ::_exit(body(WorkerOrders(std::make_shared<const WorkerSeat>(WorkerSeat{.board = board, .place = 0}))));
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(WorkerOrders, ASignalFromElsewhereEndsNothing) {
  const auto board = WorkerBoard::create(1);
  const auto ending = [](WorkerOrders orders) { return orders.ending(SIGTERM); };
  EXPECT_EQ(as_worker(board, ending), 0);
  board->order_end(SIGINT);
  EXPECT_EQ(as_worker(board, ending), SIGINT);
  const auto hurry = [](const WorkerOrders& orders) { return orders.hurry(0); };
  EXPECT_EQ(as_worker(board, hurry), 0);
  board->order_hurry(SIGTERM);
  EXPECT_EQ(as_worker(board, hurry), SIGTERM);
}

TEST(WorkerOrders, AWordIsHeardWhoseSignalWasLostInAnother) {
  const auto board = WorkerBoard::create(1);
  EXPECT_EQ(as_worker(board,
                      [&](WorkerOrders orders) {
                        ServiceSignals signals;
                        ::kill(::getpid(), SIGTERM);  // anybody's
                        board->order_end(SIGTERM);
                        ::kill(::getpid(), SIGTERM);  // the supervisor's: one is pending, there are no two
                        const int first = orders.ending(signals.wait());
                        return first == SIGTERM && signals.poll() == 0 ? 7 : 1;
                      }),
            7);
}

TEST(WorkerOrders, ADeadSupervisorEndsIt) {
  int result[2];
  ASSERT_EQ(::pipe(result), 0);
  const pid_t supervisor = ::fork();
  if (supervisor == 0) {
    const auto board = WorkerBoard::create(1);
    if (::fork() == 0) {
      ServiceSignals signals;
      ::prctl(PR_SET_PDEATHSIG, SIGTERM);
      WorkerOrders orders(std::make_shared<const WorkerSeat>(WorkerSeat{.board = board, .place = 0}));
      const char alive = static_cast<char>(orders.ending(SIGHUP));
      [[maybe_unused]] ssize_t written = ::write(result[1], &alive, 1);
      char dead = 0;  // the signal may come before there is another parent
      for (int i = 0; dead == 0 && i < 10; ++i)
        dead = static_cast<char>(orders.ending(signals.wait(std::chrono::seconds(1))));
      written = ::write(result[1], &dead, 1);
      ::_exit(0);
    }
    char begun = 0;
    [[maybe_unused]] const ssize_t seen = ::read(result[0], &begun, 1);
    ::_exit(begun);
  }
  int status = 0;
  ::waitpid(supervisor, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 0) << "as long as there is one, it goes on";
  char dead = 0;
  ASSERT_EQ(::read(result[0], &dead, 1), 1);
  EXPECT_EQ(dead, SIGTERM);
  for (const int end : result) ::close(end);
}

TEST(WorkerOrders, SettingsAreTheLatest) {
  const auto board = WorkerBoard::create(1);
  WorkerOrders orders(std::make_shared<const WorkerSeat>(WorkerSeat{.board = board, .place = 0}));
  EXPECT_TRUE(fails_with([&] { orders.settings(); }, ErrorCode::kInternal, "no settings"));
  board->settings().write({settings("logging: {level: DEBUG}")});
  EXPECT_TRUE(orders.settings_changed());
  EXPECT_EQ(orders.settings().config.log_level, LogLevel::kDebug);
  EXPECT_FALSE(orders.settings_changed());
  board->settings().write({settings("logging: {level: ERROR}")});
  EXPECT_TRUE(orders.settings_changed());
  EXPECT_EQ(orders.settings().config.log_level, LogLevel::kError);
  board->settings().write({"of another program"});
  EXPECT_TRUE(fails_with([&] { orders.settings(); }, ErrorCode::kInternal, "another version"));
  EXPECT_FALSE(orders.settings_changed()) << "what cannot be read is not read for ever";
}

}  // namespace
}  // namespace qwen
