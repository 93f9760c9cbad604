// Rates: what a bucket gives, and that processes which share buckets give no more together, whoever of them is killed.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <limits>
#include <thread>
#include <vector>

#include "server/workers/worker_board.h"

namespace qwen::test {
namespace {

using TimePoint = RateStore::TimePoint;

std::shared_ptr<RateStore> store_of(const std::shared_ptr<WorkerBoard>& board) {
  return std::make_shared<SharedRateStore>(std::shared_ptr<RateTable>(board, &board->rates()));
}
std::shared_ptr<RateStore> opened(const WorkerBoard& board) {
  return store_of(WorkerBoard::open(FileDescriptor(::dup(board.file()))));
}

int most_of(RateStore& store, std::string_view bucket, double per_minute, TimePoint now, int tries) {
  int found = 0;
  for (int i = 0; i < tries; ++i) found += store.take(bucket, per_minute, 1, 1, now).enough ? 1 : 0;
  return found;
}

pid_t start(const std::function<int()>& work) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(work());
  return child;
}
int status_of(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

struct Kind {
  const char* name;
  std::function<std::shared_ptr<RateStore>()> make;
};
class RateStoreTest : public testing::TestWithParam<Kind> {
 protected:
  const std::shared_ptr<RateStore> store_ = GetParam().make();
  TimePoint now_ = TimePoint(std::chrono::hours(1));
};

TEST_P(RateStoreTest, FillsUpEvenlyAndNoFurther) {
  const auto take = [&](double amount) { return store_->take("b", 60, amount, amount, now_); };
  EXPECT_TRUE(take(60).enough);
  EXPECT_FALSE(take(1).enough);
  EXPECT_NEAR(take(5).wait, 5, 1e-9);
  now_ += std::chrono::seconds(5);
  EXPECT_NEAR(take(0).left, 5, 1e-9);
  EXPECT_NEAR(take(0).to_full, 55, 1e-9);
  EXPECT_TRUE(take(5).enough);
  EXPECT_FALSE(take(1).enough);
  now_ += std::chrono::hours(1);
  EXPECT_TRUE(take(60).enough);
  EXPECT_FALSE(take(1).enough) << "an hour's rest is no hour's work at once";
  now_ -= std::chrono::seconds(10);
  EXPECT_FALSE(take(1).enough) << "time that seems to go back gives nothing";
  EXPECT_TRUE(store_->take("c", 60, 1, 1, now_).enough) << "buckets are apart";
}

TEST_P(RateStoreTest, GivesTheWholeRateAndNoMore) {
  for (const int rate : {1, 2, 3, 6, 7, 9, 11, 13, 17, 59, 61, 97, 999, 1001, 60'001}) {
    EXPECT_EQ(most_of(*store_, "b", rate, now_, rate + 10), rate);
    EXPECT_EQ(most_of(*store_, "b", rate, now_ + std::chrono::minutes(1), rate + 10), rate) << "and again";
  }
}

TEST_P(RateStoreTest, OverdrawnItWaits) {
  const double always = std::numeric_limits<double>::lowest();
  EXPECT_NEAR(store_->take("b", 60, 90, always, now_).left, -30, 1e-6);
  EXPECT_NEAR(store_->take("b", 60, 0, 1, now_).wait, 31, 1e-6);
  for (int i = 0; i < 1000; ++i) store_->take("b", 1, 1e15, always, now_);
  EXPECT_FALSE(store_->take("b", 1, 1, 1, now_ + std::chrono::hours(24 * 365)).enough);
  EXPECT_TRUE(store_->take("b", 1e9, 1, 1, now_).enough) << "another rate: no old debt";
}

INSTANTIATE_TEST_SUITE_P(Kinds, RateStoreTest,
                         testing::Values(Kind{"process", [] { return std::make_shared<ProcessRateStore>(); }},
                                         Kind{"shared", [] { return store_of(WorkerBoard::create(2)); }}),
                         [](const auto& kind) { return std::string(kind.param.name); });

TEST(SharedRates, AllProcessesTogetherGetTheRate) {
  constexpr int kProcesses = 4, kRate = 1'000'000, kTries = 250'000;
  const auto board = WorkerBoard::create(kProcesses);
  const TimePoint now = TimePoint::clock::now();
  std::vector<pid_t> children;
  for (int i = 0; i < kProcesses; ++i)
    children.push_back(start([&, i] {
      const auto store = opened(*board);
      std::atomic<int>& here = board->load(board->supervisor());
      for (++here; here < kProcesses;) std::this_thread::yield();  // all at the same time
      std::atomic<int> found{0};
      const auto take = [&] { found += most_of(*store, "a", kRate, now, kTries); };
      std::thread other(take);
      take();
      other.join();
      board->load(i) = found.load();
      return 0;
    }));
  int sum = 0;
  for (int i = 0; i < kProcesses; ++i) {
    EXPECT_EQ(status_of(children[static_cast<size_t>(i)]), 0);
    sum += board->load(i);
  }
  EXPECT_EQ(sum, kRate);
}

TEST(SharedRates, WhatWasUsedOutlivesTheWorker) {
  const auto board = WorkerBoard::create(1);
  const TimePoint now = TimePoint::clock::now();
  for (const int expected : {6, 0}) {
    EXPECT_EQ(status_of(start([&] { return most_of(*opened(*board), "a", 6, now, 40); })), expected);
    board->retire(0);
  }
}

TEST(SharedRates, WhoeverIsKilledOrStoppedHoldsUpNobody) {
  const auto board = WorkerBoard::create(1);
  const auto store = store_of(board);
  const TimePoint now = TimePoint::clock::now();
  constexpr double kRate = 1e8;
  for (int i = 0; i < 20; ++i) {
    const pid_t child = start([&] {
      const auto own = opened(*board);
      for (int k = 0;; ++k) own->take("bucket " + std::to_string(k % 100), kRate, 1, 1, now);
      return 0;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(i % 5));
    ::kill(child, SIGSTOP);
    EXPECT_EQ(most_of(*store, "bucket 7", kRate, now, 100), 100) << "stopped, maybe in the middle of it";
    ::kill(child, SIGKILL);
    EXPECT_EQ(status_of(child), -SIGKILL);
    EXPECT_EQ(most_of(*store, "bucket 7", kRate, now, 100), 100);
  }
  for (int k = 0; k < 100; ++k) {
    const RateLevel level = store->take("bucket " + std::to_string(k), kRate, 0, 1, now);
    EXPECT_TRUE(level.left > 0 && level.left <= kRate) << level.left;
  }
}

TEST(RateTable, AFullTableGivesUpOnlyWhatIsAsGoodAsNone) {
  const auto table = std::make_shared<RateTable>();
  const TimePoint now(std::chrono::hours(1));
  for (uint64_t id = 1; id <= RateTable::kPlaces; ++id) {
    RateBucket* const bucket = table->find(id, now);
    ASSERT_NE(bucket, nullptr);
    EXPECT_TRUE(bucket->take(6, 6, 1, now).enough);
    EXPECT_EQ(table->find(id, now), bucket);
  }
  EXPECT_EQ(table->find(RateTable::kPlaces + 9, now), nullptr);
  SharedRateStore store(table), other(table);
  EXPECT_EQ(most_of(store, "late", 6, now, 40), 6) << "of its own, but never without a limit";
  EXPECT_EQ(most_of(other, "late", 6, now, 40), 6);
  const TimePoint later = now + std::chrono::minutes(1);
  EXPECT_EQ(most_of(store, "later", 6, later, 40), 6);
  EXPECT_EQ(most_of(other, "later", 6, later, 40), 0) << "there are places again";
}

}  // namespace
}  // namespace qwen::test
