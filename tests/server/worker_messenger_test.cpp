// Control requests between worker processes: several messengers on one set of mailboxes, as each process has one.
#include "server/http/worker_messenger.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <future>
#include <mutex>

#include "support/expect_error.h"

namespace qwen::test {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

struct Found final : RunningRequest {
  void control(ControlAction action, std::shared_ptr<ControlTally> tally) override {
    last = action;
    ++calls;
    tally->add({.requests = 1, .affected = 1});
    if (!keeps) return;
    const std::lock_guard lock(mutex);
    kept = std::move(tally);
  }
  void let_go() {
    const std::lock_guard lock(mutex);
    kept.reset();
  }
  std::atomic<ControlAction> last{ControlAction::kTell};
  std::atomic<int> calls{0};
  std::atomic<bool> keeps{false};
  std::mutex mutex;
  std::shared_ptr<ControlTally> kept;  // guarded by mutex
};

class WorkerMessages : public testing::Test {
 protected:
  static constexpr int kWorkers = 3;

  // The processes of these places; the others' mailboxes are there, and nobody reads them.
  void begin(std::initializer_list<int> places) {
    for (int i = 0; i < kWorkers; ++i) board_->set_state(i, WorkerState::kReady);
    for (const int place : places) {
      Process& process = processes_[place];
      process.seat = std::make_shared<const WorkerSeat>(WorkerSeat{board_, of(place), place});
      process.messenger = WorkerMessenger::create(process.loop, process.seat, process.running);
      process.loop->start();
    }
  }
  void TearDown() override {
    for (Process& process : processes_) process.loop->stop();
  }
  // As a worker gets them.
  std::shared_ptr<const Mailboxes> of(int place) const {
    std::vector<int> copies;
    for (const int each : mailboxes_->descriptors(place)) copies.push_back(::dup(each));
    return std::make_shared<const Mailboxes>(copies);
  }
  std::shared_ptr<Found> runs(int place, const std::string& id, const std::string& key = "") {
    const auto request = std::make_shared<Found>();
    processes_[place].held.push_back(processes_[place].running->enter(id, key, request));
    return request;
  }
  ControlOutcome ask(int place, const std::string& id, const std::string& key = "", bool admin = false) {
    std::promise<ControlOutcome> told;
    auto future = told.get_future();
    processes_[place].messenger->ask(
        {.action = ControlAction::kCancel, .id = id, .key_name = key, .admin = admin}, found_,
        std::make_shared<ControlTally>([&](const ControlOutcome& sum) { told.set_value(sum); }));
    const auto begin = Clock::now();
    const bool ready = future.wait_for(std::chrono::seconds(20)) == std::future_status::ready;
    took_ = Clock::now() - begin;
    EXPECT_TRUE(ready);
    return ready ? future.get() : ControlOutcome{};
  }

  struct Process {
    std::shared_ptr<IoLoop> loop = std::make_shared<IoLoop>();
    std::shared_ptr<RunningRequests> running = std::make_shared<RunningRequests>();
    std::shared_ptr<const WorkerSeat> seat;
    std::shared_ptr<WorkerMessenger> messenger;
    std::vector<RunningRequests::Place> held;
  };
  const std::shared_ptr<WorkerBoard> board_ = WorkerBoard::create(kWorkers);
  const std::shared_ptr<const Mailboxes> mailboxes_ = std::make_shared<const Mailboxes>(kWorkers);
  Process processes_[kWorkers];
  bool found_ = false;  // by who asks, in his own process
  Clock::duration took_{};
};

TEST_F(WorkerMessages, FindTheRequestWhereverItRuns) {
  begin({0, 1, 2});
  const auto ours = runs(2, "req-w2-00ff"), callers = runs(1, "order-1", "shop");
  EXPECT_EQ(ask(0, "req-w2-00ff").requests, 1);
  EXPECT_EQ(ours->last, ControlAction::kCancel);
  EXPECT_EQ(ask(1, "req-w2-00ff").affected, 1);
  EXPECT_EQ(ask(0, "order-1", "shop").requests, 1);
  EXPECT_EQ(ask(0, "order-1", "other").requests, 0);
  EXPECT_EQ(ask(0, "order-1", "other", true).requests, 1);
  EXPECT_EQ(callers->calls, 2);
  const ControlOutcome none = ask(0, "nobody");
  EXPECT_EQ(none.requests, 0);
  EXPECT_EQ(none.silent, 0);
  EXPECT_LT(took_, WorkerMessenger::kPatience / 2);
}

TEST_F(WorkerMessages, OneIdInTwoProcessesMeansBoth) {
  begin({0, 1, 2});
  const auto first = runs(1, "twice"), second = runs(2, "twice");
  EXPECT_EQ(ask(0, "twice").requests, 2);
}

TEST_F(WorkerMessages, AnIdThatOnlyLooksLikeAnothersIsFound) {
  begin({0, 1, 2});
  const auto forged = runs(1, "req-w2-1");
  EXPECT_EQ(ask(0, "req-w2-1").requests, 1);
}

TEST_F(WorkerMessages, WhoDoesNotAnswerIsSilent) {
  begin({0, 1});
  EXPECT_EQ(ask(0, "order-1").silent, 1);
  EXPECT_GE(took_, WorkerMessenger::kPatience - milliseconds(20));
  EXPECT_LT(took_, WorkerMessenger::kPatience * 3);
  EXPECT_EQ(ask(0, "req-w2-1").silent, 1) << "it is that worker's";
  EXPECT_EQ(ask(0, "req-w1-1").silent, 0) << "worker 1 has said that it is not there";
  EXPECT_EQ(ask(0, "req-w0-1").silent, 0);
  const auto found = runs(1, "req-w1-2"), callers = runs(1, "order-2");
  EXPECT_EQ(ask(0, "req-w1-2").requests, 1);
  EXPECT_LT(took_, WorkerMessenger::kPatience / 2) << "nobody waits for who cannot have it";
  found_ = true;
  EXPECT_EQ(ask(0, "req-w0-1").silent, 0);
  EXPECT_LT(took_, WorkerMessenger::kPatience / 2) << "nor for others, where it is found at home";
  const ControlOutcome some = ask(0, "order-2");
  EXPECT_EQ(some.requests, 1);
  EXPECT_EQ(some.silent, 1);
}

TEST_F(WorkerMessages, WhoIsNotThereHasNoRequests) {
  begin({0, 1});
  for (const WorkerState state : {WorkerState::kDown, WorkerState::kLoading}) {
    board_->set_state(2, state);
    EXPECT_EQ(ask(0, "order-1").silent, 0);
    EXPECT_LT(took_, WorkerMessenger::kPatience / 2);
  }
  board_->set_state(2, WorkerState::kDraining);
  EXPECT_EQ(ask(0, "order-1").silent, 1);
}

TEST_F(WorkerMessages, AFullMailboxHoldsUpNobody) {
  begin({0, 1});
  const auto own = of(0);
  int taken = 0;
  while (own->send(2, "x")) ASSERT_LT(++taken, 1'000'000);
  EXPECT_EQ(ask(0, "req-w2-1").silent, 1);
  EXPECT_LT(took_, WorkerMessenger::kPatience / 2);
}

TEST_F(WorkerMessages, WhateverLiesInAMailboxIsHarmless) {
  begin({0, 1, 2});
  const auto own = of(0);
  ControlMessage stray;
  stray.kind = ControlMessage::Kind::kAnswer;
  stray.from = 2;
  stray.ticket = 17;
  stray.outcome.requests = 1;
  for (const std::string& bytes : {std::string("x"), std::string(5000, 'x'), std::string(), encode(stray),
                                   encode({.from = 1 << 20, .request = {.id = "a"}, .outcome = {}})})
    for (int place = 0; place < kWorkers; ++place) own->send(place, bytes);
  const auto request = runs(2, "order-1");
  EXPECT_EQ(ask(0, "order-1").requests, 1);
}

TEST_F(WorkerMessages, AnAnswerThatComesTooLateIsNoOnes) {
  begin({0, 1});
  const auto slow = runs(1, "order-1");
  board_->set_state(2, WorkerState::kDown);
  slow->keeps = true;
  const ControlOutcome outcome = ask(0, "order-1");
  EXPECT_EQ(outcome.silent, 1);
  slow->keeps = false;
  slow->let_go();
  EXPECT_EQ(ask(0, "order-1").requests, 1);
}

// One that is started again finds in its mailbox what was meant for the one before.
TEST_F(WorkerMessages, TheMailboxOutlivesTheProcess) {
  begin({0});
  board_->set_state(2, WorkerState::kDown);
  EXPECT_EQ(ask(0, "req-w1-1").silent, 1);
  const auto request = runs(1, "req-w1-1");
  Process& successor = processes_[1];
  successor.seat = std::make_shared<const WorkerSeat>(WorkerSeat{board_, of(1), 1});
  successor.messenger = WorkerMessenger::create(successor.loop, successor.seat, successor.running);
  successor.loop->start();
  EXPECT_EQ(ask(0, "req-w1-1").requests, 1);
}

TEST_F(WorkerMessages, TheEndAnswersWhoStillWaits) {
  begin({0});
  std::promise<ControlOutcome> told;
  auto future = told.get_future();
  processes_[0].messenger->ask({.id = "a"}, false,
                               std::make_shared<ControlTally>([&](const ControlOutcome& sum) { told.set_value(sum); }));
  processes_[0].loop->stop();
  EXPECT_EQ(future.wait_for(std::chrono::seconds(0)), std::future_status::ready);
}

}  // namespace
}  // namespace qwen::test
