// The scheduler's policy, step by step: no model, no clock.
#include "engine/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace qwen {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct Planned {
  RequestId id;
  int tokens;
  bool samples;
  friend bool operator==(const Planned&, const Planned&) = default;
  friend void PrintTo(const Planned& p, std::ostream* out) {
    *out << "{" << p.id << ", " << p.tokens << ", " << p.samples << "}";
  }
};

class SchedulerTest : public testing::Test {
 protected:
  void start(int num_blocks, int max_num_seqs, int max_tokens_per_step) {
    blocks_ = std::make_unique<BlockManager>(num_blocks, 16);
    scheduler_ = std::make_unique<Scheduler>(SchedulerOptions{max_num_seqs, max_tokens_per_step}, *blocks_);
  }
  void add(RequestId id, int prompt_tokens, int max_tokens = 100) {
    SamplingParams sampling;
    sampling.max_tokens = max_tokens;
    sampling.stop_token_ids = {99};
    std::vector<TokenId> prompt(static_cast<size_t>(prompt_tokens), 5);
    scheduler_->add(std::make_unique<Sequence>(id, std::move(prompt), std::move(sampling), 16 * blocks_->num_blocks()));
  }
  // Plans a step and completes it, `token` for everyone.
  std::vector<Planned> step(TokenId token = 7) {
    const SchedulerOutput plan = scheduler_->schedule();
    std::vector<Planned> planned;
    std::vector<SampledToken> sampled;
    for (const ScheduledSequence& scheduled : plan.sequences) {
      planned.push_back({scheduled.sequence->id(), scheduled.num_new_tokens, scheduled.samples});
      if (scheduled.samples) sampled.push_back({token, -1.0f, {}});
    }
    events_ = scheduler_->update(plan, sampled);
    return planned;
  }

  std::unique_ptr<BlockManager> blocks_;
  std::unique_ptr<Scheduler> scheduler_;
  std::vector<SequenceEvent> events_;
};

TEST_F(SchedulerTest, PrefillThenDecode) {
  start(8, 4, 64);
  add(1, 20);
  EXPECT_THAT(step(), ElementsAre(Planned{1, 20, true}));
  EXPECT_THAT(step(), ElementsAre(Planned{1, 1, true}));
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_EQ(events_[0].event.id, 7);
  EXPECT_EQ(events_[0].event.finish_reason, FinishReason::kNone);
}

TEST_F(SchedulerTest, LongPromptIsChunkedAndDecodesGoFirst) {
  start(32, 4, 32);
  add(1, 5);
  step();
  add(2, 70);
  EXPECT_THAT(step(), ElementsAre(Planned{1, 1, true}, Planned{2, 31, false}));
  EXPECT_THAT(step(), ElementsAre(Planned{1, 1, true}, Planned{2, 31, false}));
  EXPECT_THAT(step(), ElementsAre(Planned{1, 1, true}, Planned{2, 8, true}));
  EXPECT_THAT(step(), ElementsAre(Planned{1, 1, true}, Planned{2, 1, true}));
}

TEST_F(SchedulerTest, PromptsShareAStepInOrderOfArrival) {
  start(32, 4, 32);
  add(1, 20);
  add(2, 20);
  add(3, 20);
  EXPECT_THAT(step(), ElementsAre(Planned{1, 20, true}, Planned{2, 12, false}));
  EXPECT_THAT(step(), ElementsAre(Planned{1, 1, true}, Planned{2, 8, true}, Planned{3, 20, true}));
}

TEST_F(SchedulerTest, OldestPrefillTakesTheBudgetFirst) {
  start(64, 4, 16);
  add(1, 30);
  add(2, 30);
  EXPECT_THAT(step(), ElementsAre(Planned{1, 16, false}));
  EXPECT_THAT(step(), ElementsAre(Planned{1, 14, true}, Planned{2, 2, false}));
}

TEST_F(SchedulerTest, RunsNoMoreThanMaxNumSeqs) {
  start(32, 2, 64);
  for (RequestId id = 1; id <= 3; ++id) add(id, 4, 2);
  EXPECT_EQ(step().size(), 2u);
  EXPECT_EQ(scheduler_->num_waiting(), 1);
  step();  // both reach max_tokens
  EXPECT_THAT(step(), ElementsAre(Planned{3, 4, true}));
}

TEST_F(SchedulerTest, NobodyOvertakesALargeRequest) {
  start(4, 4, 64);
  add(1, 30);
  step();
  add(2, 40);  // three blocks, but only two are free
  add(3, 4);
  EXPECT_THAT(step(), ElementsAre(Planned{1, 1, true}));
  EXPECT_EQ(scheduler_->num_waiting(), 2);
}

TEST_F(SchedulerTest, StopTokenEndsWithItsEvent) {
  start(4, 4, 64);
  add(1, 4);
  step();
  step(99);
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_EQ(events_[0].event.id, 99);
  EXPECT_EQ(events_[0].event.finish_reason, FinishReason::kStop);
  EXPECT_EQ(blocks_->num_free_blocks(), 4);
  EXPECT_THAT(step(), IsEmpty());
}

TEST_F(SchedulerTest, MaxTokensEndsWithLength) {
  start(4, 4, 64);
  add(1, 4, 2);
  step();
  EXPECT_EQ(events_.at(0).event.finish_reason, FinishReason::kNone);
  step();
  EXPECT_EQ(events_.at(0).event.finish_reason, FinishReason::kLength);
}

TEST_F(SchedulerTest, StopTokenAtTheLimitIsAStop) {
  start(4, 4, 64);
  add(1, 4, 1);
  step(99);
  EXPECT_EQ(events_.at(0).event.finish_reason, FinishReason::kStop);
}

TEST_F(SchedulerTest, FullContextEndsWithLength) {
  start(1, 4, 64);
  add(1, 14, 100);  // one block of 16
  step();
  step();
  EXPECT_EQ(events_.at(0).event.finish_reason, FinishReason::kLength);
  EXPECT_EQ(scheduler_->num_running(), 0);
}

TEST_F(SchedulerTest, SamplingErrorEndsOnlyItsRequest) {
  start(8, 4, 64);
  add(1, 4);
  add(2, 4);
  const SchedulerOutput plan = scheduler_->schedule();
  const std::vector<SampledToken> sampled = {{-1, 0, "numerical error"}, {7, 0, {}}};
  const auto events = scheduler_->update(plan, sampled);
  EXPECT_EQ(events.at(0).event.finish_reason, FinishReason::kError);
  EXPECT_EQ(events.at(0).event.error, "numerical error");
  EXPECT_EQ(events.at(1).event.finish_reason, FinishReason::kNone);
  EXPECT_EQ(scheduler_->find(1), nullptr);
  EXPECT_NE(scheduler_->find(2), nullptr);
}

TEST_F(SchedulerTest, PreemptsTheYoungestAndRecomputesIt) {
  start(4, 4, 64);
  add(1, 31);
  add(2, 15);
  step();  // two blocks and one block; one is spare
  step();  // 1 computes its 32nd token, 2 its 16th
  EXPECT_EQ(blocks_->num_free_blocks(), 1);
  EXPECT_THAT(step(), ElementsAre(Planned{1, 1, true}));  // 1 takes the last block, 2 needs one and is the youngest
  EXPECT_EQ(scheduler_->num_preemptions(), 1u);
  EXPECT_EQ(scheduler_->num_waiting(), 1);
  scheduler_->remove(1);
  EXPECT_THAT(step(), ElementsAre(Planned{2, 17, true}));  // prompt and the two tokens that it had
  EXPECT_EQ(events_.at(0).id, 2u);
}

TEST_F(SchedulerTest, PreemptedRequestGoesBeforeLaterOnes) {
  start(4, 4, 64);
  add(1, 31);
  add(2, 15);
  step();
  step();
  add(3, 4);
  step();
  ASSERT_EQ(scheduler_->num_preemptions(), 1u);
  scheduler_->remove(1);
  EXPECT_THAT(step(), ElementsAre(Planned{2, 17, true}, Planned{3, 4, true}));
}

TEST_F(SchedulerTest, RemoveFreesRunningAndWaiting) {
  start(4, 1, 64);
  add(1, 20);
  add(2, 20);
  step();
  scheduler_->remove(1);
  scheduler_->remove(2);
  scheduler_->remove(2);
  scheduler_->remove(77);
  EXPECT_EQ(blocks_->num_free_blocks(), 4);
  EXPECT_THAT(step(), IsEmpty());
}

}  // namespace
}  // namespace qwen
