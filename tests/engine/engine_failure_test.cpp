// Faults: failing steps, poisoned logits, shutdown under load, storms of cancels.
#include <atomic>
#include <random>
#include <thread>

#include "base/error.h"
#include "engine/engine_fixture.h"

namespace qwen {
namespace {

class EngineFailure : public EngineTest {};

TEST_F(EngineFailure, FailedStepEndsItsRequestsAndTheEngineGoesOn) {
  start();
  control_->fail_steps(3, 1);
  const Answer failed = answer(request({1}, 10));
  EXPECT_EQ(failed.ids.size(), 2u);
  EXPECT_EQ(failed.reason, FinishReason::kError);
  EXPECT_EQ(failed.error.find("step 3"), std::string::npos) << "internals are for the log";
  EXPECT_TRUE(becomes_idle());
  EXPECT_EQ(answer(request({1}, 10)).ids.size(), 10u);
  EXPECT_TRUE(engine_->stats().healthy);
}

TEST_F(EngineFailure, WaitingRequestsSurviveAFailedStep) {
  EngineOptions options;
  options.max_num_seqs = 1;
  start(options);
  control_->pause();
  control_->fail_steps(1, 1);
  TokenStream first = engine_->submit(request({1}, 5));
  ASSERT_TRUE(control_->wait_until_paused(10s));
  TokenStream second = engine_->submit(request({1}, 5));
  control_->resume();
  EXPECT_EQ(read_all(first).reason, FinishReason::kError);
  EXPECT_EQ(read_all(second).ids.size(), 5u);
}

TEST_F(EngineFailure, TwoFailuresInARowAreSurvived) {
  start();
  control_->fail_steps(1, 2);
  EXPECT_EQ(answer(request({1}, 3)).reason, FinishReason::kError);
  EXPECT_EQ(answer(request({1}, 3)).reason, FinishReason::kError);
  EXPECT_EQ(answer(request({1}, 3)).ids.size(), 3u);
  EXPECT_TRUE(engine_->stats().healthy);
}

TEST_F(EngineFailure, ThreeFailuresInARowAreTheEnd) {
  EngineOptions options;
  options.max_num_seqs = 1;
  start(options);
  control_->pause();
  control_->fail_steps(1, 100);
  std::vector<TokenStream> streams;
  for (int i = 0; i < 5; ++i) streams.push_back(engine_->submit(request({1}, 3)));
  control_->resume();
  for (TokenStream& stream : streams) EXPECT_EQ(read_all(stream).reason, FinishReason::kError);
  EXPECT_EQ(control_->steps(), 3);
  try {
    while (true) answer(request({1}, 3));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kTemporary);
  }
  EXPECT_FALSE(engine_->stats().healthy);
}

TEST_F(EngineFailure, PoisonedLogitsEndOneRequest) {
  start();
  control_->poison_after(33);
  control_->pause();
  TokenStream poisoned = engine_->submit(request({30}, 20));
  TokenStream fine = engine_->submit(request({40}, 20));
  control_->resume();
  const Answer first = read_all(poisoned);
  EXPECT_EQ(first.ids.size(), 3u);
  EXPECT_EQ(first.reason, FinishReason::kError);
  EXPECT_NE(first.error.find("numerical"), std::string::npos);
  EXPECT_EQ(read_all(fine).ids.size(), 20u);
  EXPECT_TRUE(engine_->stats().healthy);
  EXPECT_TRUE(becomes_idle());
}

TEST_F(EngineFailure, ShutdownEndsEverythingAndRefusesMore) {
  EngineOptions options;
  options.max_num_seqs = 4;
  start(options);
  control_->set_delay(1ms);
  std::vector<TokenStream> streams;
  for (int i = 0; i < 12; ++i) streams.push_back(engine_->submit(request({1}, 4000)));
  std::thread closer([&] { engine_->shutdown(); });
  for (TokenStream& stream : streams) EXPECT_EQ(read_all(stream).reason, FinishReason::kCancelled);
  closer.join();
  engine_->shutdown();
  try {
    engine_->submit(request({1}, 3));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kDraining);
  }
}

TEST_F(EngineFailure, StreamsOutliveTheEngine) {
  start();
  TokenStream unread = engine_->submit(request({1}, 3));
  TokenStream stream = engine_->submit(request({1}, 3));
  read_all(stream);
  TokenStream cancelled = engine_->submit(request({1}, 4000));
  engine_.reset();
  EXPECT_EQ(read_all(unread).ids.size(), 3u) << "what was produced can still be read";
  EXPECT_EQ(read_all(cancelled).reason, FinishReason::kCancelled);
}

TEST_F(EngineFailure, AbortStorm) {
  start();
  control_->pause();
  TokenStream held = engine_->submit(request({1}, 4));
  ASSERT_TRUE(control_->wait_until_paused(10s));
  {
    std::vector<TokenStream> streams;
    for (int i = 0; i < 500; ++i) streams.push_back(engine_->submit(request({1, 2, 3}, 4000)));
  }
  control_->resume();
  EXPECT_EQ(read_all(held).ids.size(), 4u);
  EXPECT_TRUE(becomes_idle());
}

// Many clients that read, drop, wait and time out at random, while blocks run out all the time: answers stay right,
// nothing leaks.
TEST_F(EngineFailure, RandomClients) {
  EngineOptions options;
  options.max_num_seqs = 8;
  options.max_waiting = 20;
  options.kv_cache_bytes = 12 * kFakeBlockSize * kFakeKvBytesPerToken;
  options.max_model_len = 160;
  FakeModelOptions model_options;
  model_options.max_batched_tokens = 24;
  start(options, model_options);
  control_->set_next([](std::span<const TokenId> context) {
    unsigned hash = 17;
    for (const TokenId id : context) hash = hash * 31 + static_cast<unsigned>(id);
    return static_cast<TokenId>(hash % 64);
  });
  std::atomic<int> finished = 0, wrong = 0;
  const auto client = [&](uint32_t seed) {
    std::mt19937 random(seed);
    const auto pick = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
    for (int i = 0; i < 40; ++i) {
      std::vector<TokenId> prompt(static_cast<size_t>(pick(1, 30)));
      for (TokenId& id : prompt) id = pick(0, 63);
      try {
        GenerationRequest random_request = request(prompt, pick(1, 100));
        if (pick(0, 9) == 0)
          random_request.deadline = std::chrono::steady_clock::now() + std::chrono::microseconds(pick(0, 3000));
        if (pick(0, 9) == 0)
          random_request.start_by = std::chrono::steady_clock::now() + std::chrono::microseconds(pick(0, 100'000));
        TokenStream stream = engine_->submit(std::move(random_request));
        const int to_read = pick(0, 2) == 0 ? pick(0, 5) : 1000;
        for (int n = 0; n < to_read; ++n) {
          const auto event = stream.next(20s);
          if (!event) {
            ++wrong;
            break;
          }
          if (event->id >= 0) {
            unsigned hash = 17;
            for (const TokenId id : prompt) hash = hash * 31 + static_cast<unsigned>(id);
            if (event->id != static_cast<TokenId>(hash % 64)) ++wrong;
            prompt.push_back(event->id);
          }
          if (event->finish_reason != FinishReason::kNone) {
            ++finished;
            break;
          }
        }
      } catch (const Error& error) {
        if (error.code() != ErrorCode::kOverloaded) ++wrong;
        std::this_thread::yield();
      }
    }
  };
  std::vector<std::thread> clients;
  for (uint32_t seed = 0; seed < 12; ++seed) clients.emplace_back(client, seed);
  for (std::thread& thread : clients) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(finished, 20);
  EXPECT_TRUE(becomes_idle());
  EXPECT_GT(engine_->stats().preemptions, 0u);
  EXPECT_TRUE(engine_->stats().healthy);
}

}  // namespace
}  // namespace qwen
