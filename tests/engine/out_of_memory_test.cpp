// Memory that runs out on the engine thread: every request still gets its last event, and the others go on.
#include <cstdlib>
#include <new>
#include <utility>

#include "engine/engine_fixture.h"
#include "engine/token_channel.h"

namespace {

thread_local bool no_memory = false;  // on this thread

}  // namespace

void* operator new(size_t size) {
  if (no_memory) throw std::bad_alloc();
  if (void* const memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace qwen {
namespace {

static_assert(noexcept(std::declval<TokenChannel&>().finish(std::declval<TokenEvent>())));

class EngineOutOfMemory : public EngineTest {};

TEST_F(EngineOutOfMemory, TheLastEventNeedsNone) {
  for (int max_tokens = 1; max_tokens <= 24; ++max_tokens) {
    start();
    int generated = 0;
    engine_->set_on_step([&](const StepReport& report) {
      generated += report.num_generated;
      no_memory = generated == max_tokens;
    });
    GenerationRequest asked = request({1}, max_tokens);
    asked.on_events = [] { no_memory = false; };
    const Answer got = answer(std::move(asked));
    EXPECT_EQ(got.reason, FinishReason::kLength) << max_tokens;
    EXPECT_EQ(got.ids.size(), static_cast<size_t>(max_tokens));
    EXPECT_TRUE(becomes_idle());
    engine_.reset();
  }
}

TEST_F(EngineOutOfMemory, ATokenThatCannotBeHeldEndsItsRequestAlone) {
  start();
  engine_->set_on_step([](const StepReport& report) { no_memory = report.num_sequences == 2; });
  const auto asked = [](int max_tokens) {
    GenerationRequest made = request({1}, max_tokens);
    made.on_events = [] { no_memory = false; };
    return made;
  };
  control_->pause();
  TokenStream first = engine_->submit(asked(60)), second = engine_->submit(asked(60));
  control_->resume();
  const Answer hit = read_all(first), spared = read_all(second);
  EXPECT_EQ(hit.reason, FinishReason::kError);
  EXPECT_EQ(hit.error, "out of memory");
  EXPECT_GT(hit.ids.size(), 0u);
  EXPECT_LT(hit.ids.size(), 60u);
  EXPECT_EQ(spared.reason, FinishReason::kLength);
  EXPECT_EQ(spared.ids.size(), 60u);
  EXPECT_TRUE(becomes_idle());
  EXPECT_TRUE(engine_->stats().healthy);
}

TEST_F(EngineOutOfMemory, AStepWithoutMemoryFailsItsRequestsAndTheEngineGoesOn) {
  start();
  GenerationRequest asked = request({1}, 50);
  asked.on_events = [calls = 0]() mutable { no_memory = ++calls == 3; };
  TokenStream stream = engine_->submit(std::move(asked));  // kept: nobody is told about a stream that was dropped
  const Answer failed = read_all(stream);
  EXPECT_EQ(failed.reason, FinishReason::kError);
  EXPECT_EQ(failed.error, "the engine failed on this request");
  EXPECT_EQ(failed.ids.size(), 3u);
  EXPECT_EQ(answer(request({1}, 5)).ids.size(), 5u);
  EXPECT_TRUE(becomes_idle());
}

TEST_F(EngineOutOfMemory, ARequestThatCannotBeTakenInEnds) {
  start();
  GenerationRequest before = request({1}, 1), refused = request({1}, 5);
  before.on_events = [] { no_memory = true; };
  refused.on_events = [] { no_memory = false; };
  TokenStream first = engine_->submit(std::move(before));
  EXPECT_EQ(read_all(first).reason, FinishReason::kLength);
  TokenStream second = engine_->submit(std::move(refused));
  const Answer answer_to_second = read_all(second);
  EXPECT_EQ(answer_to_second.reason, FinishReason::kError);
  EXPECT_EQ(answer_to_second.error, "out of memory");
  EXPECT_EQ(answer(request({1}, 5)).ids.size(), 5u);
  EXPECT_TRUE(becomes_idle());
}

}  // namespace
}  // namespace qwen
