#include "base/thread_pool.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <time.h>

#include <chrono>
#include <vector>

#include "base/cpu_count.h"

namespace qwen {
namespace {

TEST(ThreadPoolTest, RunsEveryTaskOnceWhateverTheNumberOfTasksAndThreads) {
  for (int threads = 1; threads <= 5; ++threads) {
    ThreadPool pool(threads);
    for (int tasks = 0; tasks <= 40; ++tasks) {
      std::vector<std::atomic<int>> runs(40);
      std::atomic<bool> bad_worker{false};
      pool.run(tasks, [&](int task, int worker) {
        ++runs[static_cast<size_t>(task)];
        if (worker < 0 || worker >= threads) bad_worker = true;
      });
      for (int task = 0; task < 40; ++task) ASSERT_EQ(runs[static_cast<size_t>(task)], task < tasks ? 1 : 0);
      ASSERT_FALSE(bad_worker);
    }
  }
}

TEST(ThreadPoolTest, WhatTasksWroteIsSeenByTheCaller) {
  ThreadPool pool(4);
  std::vector<int> values(1000);  // not atomic: run() is the only synchronisation
  for (int round = 1; round <= 2000; ++round) {
    pool.run(1000, [&](int task, int) { values[static_cast<size_t>(task)] += task; });
    if (round % 500 == 0) {
      for (int task = 0; task < 1000; ++task) ASSERT_EQ(values[static_cast<size_t>(task)], task * round);
    }
  }
}

// Jobs of changing size one right after the other: a worker that comes late must never take a task of a job it knows
// nothing of.
TEST(ThreadPoolTest, ManySmallJobsInARow) {
  ThreadPool pool(6);
  int64_t expected = 0;
  std::atomic<int64_t> sum{0};
  for (int job = 0; job < 20000; ++job) {
    const int tasks = job % 17;
    expected += static_cast<int64_t>(tasks) * job;
    pool.run(tasks, [&sum, job](int, int) { sum += job; });
    ASSERT_EQ(sum, expected);
  }
}

// A task that takes long is overtaken: the others' tasks of the same worker are done meanwhile.
TEST(ThreadPoolTest, TasksOfABusyWorkerAreTakenOver) {
  ThreadPool pool(2);
  std::atomic<int> others{0};
  std::atomic<bool> overtaken{false};
  pool.run(100, [&](int task, int) {
    if (task != 0) {
      ++others;
      return;
    }
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (others < 99 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    overtaken = others == 99;
  });
  EXPECT_TRUE(overtaken);
}

TEST(ThreadPoolTest, SleepsWhenIdle) {
  ThreadPool pool(4);
  pool.run(8, [](int, int) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const auto cpu_seconds = [] {
    timespec t{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
  };
  const double before = cpu_seconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  EXPECT_LT(cpu_seconds() - before, 0.05);
  std::atomic<int> runs{0};
  pool.run(8, [&](int, int) { ++runs; });  // and wakes again
  EXPECT_EQ(runs, 8);
}

TEST(CpuCountTest, IsWithinTheMachine) {
  EXPECT_GE(usable_cores(), 1);
  EXPECT_LE(usable_cores(), static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace
}  // namespace qwen
