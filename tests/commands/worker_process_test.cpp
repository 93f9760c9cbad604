// What a worker gets of the service's settings, when it is started again, and who is no worker.
#include "commands/worker_process.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "commands/restart_backoff.h"
#include "support/expect_error.h"

namespace qwen {
namespace {

using std::chrono::milliseconds;

TEST(RestartBackoff, DoublesUpToAMinuteAndForgetsAfterOne) {
  RestartBackoff backoff;
  std::vector<long long> waits;
  for (int i = 0; i < 10; ++i) waits.push_back(backoff.after_end(milliseconds(59'999)).count());
  EXPECT_EQ(waits, (std::vector<long long>{500, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000}));
  EXPECT_EQ(backoff.after_end(milliseconds(60'000)), milliseconds(500));
  EXPECT_EQ(backoff.after_end(milliseconds(0)), milliseconds(1000));
}

TEST(WorkerConfig, CoresAndConnectionsAreDivided) {
  ServiceConfig config;
  config.metrics_port = 9090;
  config.http.max_connections = 1001;
  config.http.max_connections_per_client = 100;
  config.http.max_buffered_body_bytes = 9 << 20;
  config.http.max_body_bytes = 2 << 20;
  for (const int place : {0, 1, 2}) {
    const ServiceConfig own = worker_config(config, place, 3, 8);
    EXPECT_EQ(own.threads, place < 2 ? 3 : 2);
    EXPECT_EQ(own.metrics_port, 0);
    EXPECT_EQ(own.http.max_connections, 334);
    EXPECT_EQ(own.http.max_connections_per_client, 34);
    EXPECT_EQ(own.http.max_buffered_body_bytes, 3u << 20);
    EXPECT_EQ(own.workers, 3);
  }
  EXPECT_EQ(worker_config(config, 3, 4, 2).threads, 1) << "more workers than cores";
  EXPECT_EQ(worker_config(config, 0, 8, 8).http.max_buffered_body_bytes, 2u << 20) << "room for the largest body";
  config.threads = 5;
  EXPECT_EQ(worker_config(config, 0, 3, 8).threads, 5) << "as asked";
}

TEST(WorkerConfig, OneDeviceEach) {
  ServiceConfig config;
  config.cuda_visible_devices = "2,GPU-5,7";
  EXPECT_EQ(gpu_of_worker(config, 1), "") << "on a processor";
  config.device = "cuda:0";
  EXPECT_EQ(gpu_of_worker(config, 0), "2");
  EXPECT_EQ(gpu_of_worker(config, 1), "GPU-5");
  EXPECT_EQ(gpu_of_worker(config, 4), "GPU-5");
  EXPECT_EQ(worker_config(config, 4, 5, 8).cuda_visible_devices, "GPU-5");
  config.cuda_visible_devices = "3";
  EXPECT_EQ(gpu_of_worker(config, 1), "");
}

TEST(WorkerConfig, OneSizeOfTheKvCacheForAll) {
  const WorkerSeat seat{.board = WorkerBoard::create(2), .place = 1};
  ServiceConfig config;
  EXPECT_EQ(worker_config(config, seat, 4).kv_cache_bytes, 0u) << "the first one finds out";
  seat.board->offer_kv_cache_bytes(1 << 20);
  seat.board->offer_kv_cache_bytes(2 << 20);
  EXPECT_EQ(worker_config(config, seat, 4).kv_cache_bytes, 1u << 20);
  config.device = "cuda:0";
  EXPECT_EQ(worker_config(config, seat, 4).kv_cache_bytes, 0u);
}

TEST(WorkerSeat, AVariableFromElsewhereIsToldApart) {
  EXPECT_EQ(inherited_seat(), nullptr);
  ::setenv("QWEN_WORKER", "x", 1);
  EXPECT_TRUE(fails_with([] { inherited_seat(); }, ErrorCode::kUsage, "unset it"));
  ::unsetenv("QWEN_WORKER");
}

}  // namespace
}  // namespace qwen
