// Random lives of many requests: whatever comes in whatever order, block counts stay exact, limits hold and everyone
// finishes.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "engine/scheduler.h"

namespace qwen {
namespace {

class SchedulerWorld {
 public:
  explicit SchedulerWorld(uint32_t seed)
      : random_(seed),
        num_blocks_(pick(2, 24)),
        options_{pick(1, 8), 0},
        blocks_(num_blocks_, kBlockSize),
        scheduler_(with_budget(options_, pick(0, 40)), blocks_) {}

  void run(int steps) {
    for (int i = 0; i < steps; ++i) {
      if (pick(0, 3) == 0) add();
      if (pick(0, 15) == 0 && !alive_.empty()) cancel();
      step();
    }
    for (int i = 0; i < 100000 && !alive_.empty(); ++i) step();
    EXPECT_TRUE(alive_.empty()) << "somebody never finishes";
    EXPECT_EQ(blocks_.num_free_blocks(), num_blocks_);
  }

 private:
  static constexpr int kBlockSize = 4;

  int pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }
  static SchedulerOptions& with_budget(SchedulerOptions& options, int extra) {
    options.max_num_batched_tokens = options.max_num_seqs + extra;
    return options;
  }

  void add() {
    const int max_model_len = num_blocks_ * kBlockSize;
    const int prompt = pick(1, max_model_len - 1);
    SamplingParams sampling;
    sampling.max_tokens = pick(1, 2 * max_model_len);
    const RequestId id = next_id_++;
    alive_[id] = {prompt + std::min(sampling.max_tokens, max_model_len - prompt), prompt};
    scheduler_.add(
        std::make_unique<Sequence>(id, std::vector<TokenId>(static_cast<size_t>(prompt), 1), sampling, max_model_len));
  }

  void cancel() {
    const auto victim = std::next(alive_.begin(), pick(0, static_cast<int>(alive_.size()) - 1));
    scheduler_.remove(victim->first);
    alive_.erase(victim);
  }

  void step() {
    const SchedulerOutput plan = scheduler_.schedule();
    ASSERT_EQ(plan.empty(), alive_.empty());
    ASSERT_LE(plan.num_tokens, options_.max_num_batched_tokens);
    ASSERT_LE(scheduler_.num_running(), options_.max_num_seqs);
    ASSERT_EQ(scheduler_.num_running() + scheduler_.num_waiting(), static_cast<int>(alive_.size()));
    check_blocks();
    std::vector<SampledToken> sampled;
    int tokens = 0;
    for (const ScheduledSequence& scheduled : plan.sequences) {
      const Sequence& sequence = *scheduled.sequence;
      ASSERT_GE(scheduled.num_new_tokens, 1);
      tokens += scheduled.num_new_tokens;
      const int end = sequence.num_computed_tokens() + scheduled.num_new_tokens;
      ASSERT_EQ(scheduled.samples, end == sequence.num_tokens());
      ASSERT_GE(static_cast<int>(sequence.block_table.size()) * kBlockSize, end);
      if (scheduled.samples) sampled.push_back({2, 0, {}});
    }
    ASSERT_EQ(tokens, plan.num_tokens);
    if (!alive_.empty()) {
      ASSERT_EQ(plan.sequences.front().sequence->id(), alive_.begin()->first) << "the oldest waits";
    }
    for (const SequenceEvent& event : scheduler_.update(plan, sampled)) {
      Life& life = alive_.at(event.id);
      ++life.tokens;
      const bool finished = event.event.finish_reason != FinishReason::kNone;
      ASSERT_EQ(finished, life.tokens == life.last_token);
      if (finished) alive_.erase(event.id);
    }
    check_blocks();
  }

  void check_blocks() {
    std::map<int, int> owners;
    for (const auto& [id, life] : alive_) {
      const Sequence* sequence = scheduler_.find(id);
      ASSERT_NE(sequence, nullptr);
      if (sequence->status == Sequence::Status::kWaiting) {
        ASSERT_TRUE(sequence->block_table.empty());
      }
      for (const int32_t block : sequence->block_table) ++owners[block];
    }
    for (int block = 0; block < num_blocks_; ++block) ASSERT_EQ(blocks_.ref_count(block), owners[block]);
    const auto used = std::count_if(owners.begin(), owners.end(), [](const auto& entry) { return entry.second > 0; });
    ASSERT_EQ(blocks_.num_free_blocks(), num_blocks_ - static_cast<int>(used));
  }

  struct Life {
    int last_token = 0;  // tokens at which it must finish
    int tokens = 0;
  };

  std::mt19937 random_;
  int num_blocks_;
  SchedulerOptions options_;
  BlockManager blocks_;
  Scheduler scheduler_;
  RequestId next_id_ = 1;
  std::map<RequestId, Life> alive_;
};

TEST(SchedulerProperty, RandomLives) {
  for (uint32_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    SchedulerWorld world(seed);
    world.run(60);
    if (testing::Test::HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace qwen
