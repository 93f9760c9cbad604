#include "server/worker_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <stdexcept>

namespace qwen {
namespace {

TEST(WorkerPool, LargeWorkNeverTakesTheLastThread) {
  WorkerPool pool(2, 100);
  std::promise<void> release;
  const std::shared_future<void> released = release.get_future().share();
  std::atomic<int> large{0};
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(pool.submit(
        [&large, released] {
          ++large;
          released.wait();
        },
        WorkerPool::Size::kLarge));
  }
  for (int i = 0; i < 20; ++i) {
    std::promise<void> done;
    ASSERT_TRUE(pool.submit([&] { done.set_value(); }));
    ASSERT_EQ(done.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
  }
  EXPECT_LE(large, 1);
  release.set_value();
  while (large < 3) std::this_thread::yield();
}

TEST(WorkerPool, OneThreadDoesBothInOrder) {
  WorkerPool pool(1, 100);
  std::vector<int> order;
  std::promise<void> start, done;
  pool.submit([&] { start.get_future().wait(); });
  for (int i = 0; i < 10; ++i)
    pool.submit([&order, i] { order.push_back(i); }, i % 3 == 0 ? WorkerPool::Size::kLarge : WorkerPool::Size::kSmall);
  pool.submit([&] { done.set_value(); });
  start.set_value();
  done.get_future().wait();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST(WorkerPool, IsBoundedAndSurvivesWhatTasksThrow) {
  WorkerPool pool(1, 2);
  std::promise<void> started, release;
  pool.submit([&] {
    started.set_value();
    release.get_future().wait();
    throw std::runtime_error("a task's own trouble");
  });
  started.get_future().wait();
  std::promise<void> ran;
  EXPECT_TRUE(pool.submit([&] { ran.set_value(); }));
  EXPECT_TRUE(pool.submit([] {}, WorkerPool::Size::kLarge));
  EXPECT_FALSE(pool.submit([] {}));
  release.set_value();
  ran.get_future().wait();
  pool.stop();
  EXPECT_FALSE(pool.submit([] {}));
}

TEST(WorkerPool, WhatIsStillQueuedAtTheEndIsToldSo) {
  WorkerPool pool(1, 10);
  std::promise<void> started, dropped;
  pool.submit([&] {
    started.set_value();
    dropped.get_future().wait();
  });
  started.get_future().wait();
  int told = 0;
  bool ran = false;
  for (const auto size : {WorkerPool::Size::kSmall, WorkerPool::Size::kLarge})
    pool.submit([&] { ran = true; }, size,
                [&] {
                  ++told;
                  throw std::runtime_error("does not keep the others from being told");
                });
  pool.submit([&] { ran = true; });
  pool.submit([&] { ran = true; }, WorkerPool::Size::kLarge,
              [&] {
                ++told;
                dropped.set_value();
              });
  pool.stop();
  EXPECT_EQ(told, 3);
  EXPECT_FALSE(ran);
}

}  // namespace
}  // namespace qwen
