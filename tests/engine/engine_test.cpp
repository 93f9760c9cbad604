// What a caller of the engine sees: streaming, limits, refusals, constraints.
#include "engine/engine.h"

#include <gmock/gmock.h>

#include <array>
#include <atomic>
#include <numeric>
#include <thread>

#include "base/error.h"
#include "engine/engine_fixture.h"

namespace qwen {
namespace {

using testing::ElementsAre;

class EngineBehaviour : public EngineTest {
 protected:
  ErrorCode refusal(GenerationRequest request) {
    try {
      engine_->submit(std::move(request));
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::kFailed;
  }
};

TEST_F(EngineBehaviour, StreamsTokensUntilMaxTokens) {
  start();
  TokenStream stream = engine_->submit(request({1, 2, 3}, 4));
  EXPECT_EQ(stream.prompt_tokens(), 3);
  const Answer answer = read_all(stream);
  EXPECT_THAT(answer.ids, ElementsAre(4, 5, 6, 7));
  EXPECT_EQ(answer.reason, FinishReason::kLength);
  EXPECT_NEAR(answer.logprobs.at(0), 0, 1e-6);
  EXPECT_EQ(stream.next(0ms), std::nullopt) << "nothing comes after the last event";
  EXPECT_EQ(stream.cached_tokens(), 0);
}

TEST_F(EngineBehaviour, StopTokenIsDelivered) {
  start();
  GenerationRequest stopping = request({1}, 100);
  stopping.sampling.stop_token_ids = {4, 5};
  const Answer got = answer(std::move(stopping));
  EXPECT_THAT(got.ids, ElementsAre(2, 3, 4));
  EXPECT_EQ(got.reason, FinishReason::kStop);
}

TEST_F(EngineBehaviour, FullContextEndsWithLength) {
  EngineOptions options;
  options.max_model_len = 20;
  start(options);
  EXPECT_EQ(engine_->max_model_len(), 20);
  const Answer got = answer(request(std::vector<TokenId>(15, 3), 1000));
  EXPECT_EQ(got.ids.size(), 5u);
  EXPECT_EQ(got.reason, FinishReason::kLength);
}

TEST_F(EngineBehaviour, PromptsLongerThanAStepAreChunked) {
  start();
  control_->set_next(
      [](std::span<const TokenId> context) { return std::accumulate(context.begin(), context.end(), 0) % 64; });
  std::vector<TokenId> prompt(1000);
  std::iota(prompt.begin(), prompt.end(), 0);
  for (TokenId& id : prompt) id %= 60;
  const Answer got = answer(request(prompt, 2));
  const TokenId first = std::accumulate(prompt.begin(), prompt.end(), 0) % 64;
  EXPECT_EQ(got.ids.at(0), first);
  EXPECT_EQ(control_->steps(), 16 + 1);
  const EngineStats stats = engine_->stats();
  EXPECT_EQ(stats.prompt_tokens, 1000u);
  EXPECT_EQ(stats.generated_tokens, 2u);
}

TEST_F(EngineBehaviour, RequestsRunTogether) {
  start();
  control_->pause();
  TokenStream first = engine_->submit(request({1}, 50));
  ASSERT_TRUE(control_->wait_until_paused(10s));
  std::vector<TokenStream> streams;
  for (TokenId id = 2; id <= 8; ++id) streams.push_back(engine_->submit(request({id}, 50)));
  control_->resume();
  for (size_t i = 0; i < streams.size(); ++i) {
    const Answer got = read_all(streams[i]);
    ASSERT_EQ(got.ids.size(), 50u);
    EXPECT_EQ(got.ids.front(), static_cast<TokenId>(i) + 3);
  }
  EXPECT_EQ(read_all(first).ids.size(), 50u);
  EXPECT_LE(control_->steps(), 52);
}

TEST_F(EngineBehaviour, DroppedStreamFreesItsSequence) {
  start();
  control_->pause();
  {
    const TokenStream running = engine_->submit(request({1}, 4000));
    ASSERT_TRUE(control_->wait_until_paused(10s));
    const TokenStream waiting = engine_->submit(request({2}, 4000));
  }
  control_->resume();
  EXPECT_TRUE(becomes_idle());
  EXPECT_LE(control_->steps(), 2);
}

TEST_F(EngineBehaviour, AssigningOverAStreamCancelsIt) {
  start();
  TokenStream stream = engine_->submit(request({1}, 4000));
  stream = engine_->submit(request({2}, 3));
  EXPECT_THAT(read_all(stream).ids, ElementsAre(3, 4, 5));
  EXPECT_TRUE(becomes_idle());
}

TEST_F(EngineBehaviour, CallbackOncePerStepAndEventsAreThere) {
  start();
  std::atomic<int> calls = 0;
  GenerationRequest watched = request({1}, 5);
  watched.on_events = [&] { ++calls; };
  TokenStream stream = engine_->submit(std::move(watched));
  EXPECT_EQ(read_all(stream).ids.size(), 5u);
  engine_->shutdown();
  EXPECT_EQ(calls, 5);
}

TEST_F(EngineBehaviour, ThrowingCallbackHurtsNobody) {
  start();
  GenerationRequest watched = request({1}, 5);
  watched.on_events = [] { throw std::runtime_error("no"); };
  EXPECT_EQ(answer(std::move(watched)).ids.size(), 5u);
  EXPECT_TRUE(engine_->stats().healthy);
}

TEST_F(EngineBehaviour, FullQueueRefuses) {
  EngineOptions options;
  options.max_num_seqs = 2;
  options.max_waiting = 3;
  start(options);
  control_->pause();
  std::vector<TokenStream> streams;
  for (TokenId id = 0; id < 5; ++id) streams.push_back(engine_->submit(request({id}, 3)));
  EXPECT_EQ(refusal(request({1}, 3)), ErrorCode::kOverloaded);
  control_->resume();
  EXPECT_EQ(read_all(streams[0]).ids.size(), 3u);
  EXPECT_THAT(answer(request({1}, 2)).ids, ElementsAre(2, 3)) << "an ended request makes room at once";
}

TEST_F(EngineBehaviour, RefusesWhatCannotRun) {
  EngineOptions options;
  options.max_model_len = 50;
  start(options);
  EXPECT_EQ(refusal(request({}, 3)), ErrorCode::kInvalidValue);
  EXPECT_EQ(refusal(request({64}, 3)), ErrorCode::kInvalidValue);
  EXPECT_EQ(refusal(request({-1}, 3)), ErrorCode::kInvalidValue);
  EXPECT_EQ(refusal(request(std::vector<TokenId>(50, 1), 3)), ErrorCode::kContextLengthExceeded);
  EXPECT_EQ(refusal(request({1}, 0)), ErrorCode::kInvalidValue);
  GenerationRequest bad = request({1}, 3);
  bad.sampling.temperature = std::nanf("");
  EXPECT_EQ(refusal(std::move(bad)), ErrorCode::kInvalidValue);
  bad = request({1}, 3);
  bad.sampling.top_p = 0;
  EXPECT_EQ(refusal(std::move(bad)), ErrorCode::kInvalidValue);
  bad = request({1}, 3);
  bad.sampling.logit_bias = {{64, 1.0f}};
  EXPECT_EQ(refusal(std::move(bad)), ErrorCode::kInvalidValue);
  EXPECT_EQ(answer(request(std::vector<TokenId>(49, 1), 3)).ids.size(), 1u);
}

TEST_F(EngineBehaviour, DeadlineEndsWaitingAndRunning) {
  EngineOptions options;
  options.max_num_seqs = 1;
  start(options);
  control_->set_delay(2ms);
  GenerationRequest late = request({1}, 4000);
  late.deadline = std::chrono::steady_clock::now() + 50ms;
  TokenStream running = engine_->submit(std::move(late));
  GenerationRequest later = request({2}, 4000);
  later.deadline = std::chrono::steady_clock::now() + 30ms;
  TokenStream waiting = engine_->submit(std::move(later));
  const Answer second = read_all(waiting);
  EXPECT_EQ(second.reason, FinishReason::kDeadline);
  EXPECT_TRUE(second.ids.empty());
  EXPECT_EQ(read_all(running).reason, FinishReason::kDeadline);
  EXPECT_TRUE(becomes_idle());
}

TEST_F(EngineBehaviour, WhoDoesNotGetATurnInTimeIsTurnedAway) {
  EngineOptions options;
  options.max_num_seqs = 1;
  start(options);
  const auto begin_within = [&](std::chrono::milliseconds time) {
    GenerationRequest request = this->request({1}, 300);
    request.start_by = std::chrono::steady_clock::now() + time;
    return request;
  };
  EXPECT_EQ(answer(begin_within(-1s)).ids.size(), 300u) << "an idle engine turns nobody away";
  control_->set_delay(2ms);
  TokenStream running = engine_->submit(begin_within(50ms));
  TokenStream waiting = engine_->submit(begin_within(50ms));
  TokenStream patient = engine_->submit(request({2}, 5));
  const Answer refused = read_all(waiting);
  EXPECT_EQ(refused.reason, FinishReason::kQueueTimeout);
  EXPECT_TRUE(refused.ids.empty());
  EXPECT_EQ(read_all(running).ids.size(), 300u) << "who has begun goes on";
  EXPECT_EQ(read_all(patient).ids.size(), 5u);
  EXPECT_TRUE(becomes_idle());
}

// Forces ids, then allows one; remembers what it was told.
class Script : public TokenConstraint {
 public:
  explicit Script(std::vector<TokenId>& seen) : seen_(seen) {}
  TokenMask mask() override {
    if (seen_.size() < 2) return {static_cast<TokenId>(40 + seen_.size()), {}};
    return {-1, allowed_};
  }
  void advance(TokenId id) override { seen_.push_back(id); }

 private:
  std::vector<TokenId>& seen_;
  std::array<uint64_t, 1> allowed_ = {uint64_t{1} << 50 | uint64_t{1} << 42};
};

TEST_F(EngineBehaviour, ConstraintSeesEveryTokenInOrder) {
  start();
  std::vector<TokenId> seen;
  GenerationRequest constrained = request({1}, 4);
  constrained.sampling.temperature = 0;
  constrained.constraint = std::make_unique<Script>(seen);
  const Answer got = answer(std::move(constrained));
  EXPECT_THAT(got.ids, ElementsAre(40, 41, 42, 42));
  EXPECT_EQ(seen, got.ids);
}

class Throwing : public TokenConstraint {
  TokenMask mask() override { throw std::runtime_error("broken grammar"); }
  void advance(TokenId) override {}
};

TEST_F(EngineBehaviour, ConstraintThatThrowsEndsItsRequestOnly) {
  start();
  control_->pause();
  GenerationRequest broken = request({1}, 4);
  broken.constraint = std::make_unique<Throwing>();
  TokenStream first = engine_->submit(std::move(broken));
  TokenStream second = engine_->submit(request({1}, 4));
  control_->resume();
  EXPECT_EQ(read_all(first).reason, FinishReason::kError);
  EXPECT_EQ(read_all(second).ids.size(), 4u);
  EXPECT_TRUE(engine_->stats().healthy);
}

TEST_F(EngineBehaviour, PaddingIdsAreNotSampled) {
  EngineOptions options;
  options.num_valid_tokens = 10;
  start(options);
  control_->set_next([](std::span<const TokenId>) { return 20; });
  for (const TokenId id : answer(request({1}, 200)).ids) ASSERT_LT(id, 10);
}

TEST_F(EngineBehaviour, HeartbeatMovesWhileIdle) {
  start();
  const auto before = engine_->stats().heartbeat;
  std::this_thread::sleep_for(700ms);
  EXPECT_GT(engine_->stats().heartbeat, before);
}

TEST_F(EngineBehaviour, NoMemoryIsAClearError) {
  FakeModelOptions model_options;
  model_options.free_memory = 10;
  try {
    start({}, model_options);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOs);
  }
}

}  // namespace
}  // namespace qwen
