// When each figure of a generation is taken, and that every one of them ends up finished exactly once.
#include "server/generation_meter.h"

#include "metrics/metrics.h"
#include "metrics_text.h"
#include "server/text_stream.h"

namespace qwen::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class Meter : public testing::Test {
 protected:
  double read(const std::string& series) const { return figure(metrics_->registry.text(), series); }
  static Completion completion(FinishReason reason, Usage usage) {
    Completion result;
    result.finish_reason = reason;
    result.usage = usage;
    result.thinking_end = ThinkingEnd::kNatural;
    return result;
  }
  std::string name(const char* reason) { return std::string("qwen_request_finished_total{reason=\"") + reason + "\"}"; }

  const std::shared_ptr<const Metrics> metrics_ = std::make_shared<Metrics>();
  const GenerationMeter::Clock::time_point start_{seconds(1000)};
};

TEST_F(Meter, TimesAGeneration) {
  GenerationMeter meter(metrics_, start_);
  meter.token(start_ + seconds(2));
  meter.text({.reasoning = "thought", .content = ""}, start_ + seconds(2));
  EXPECT_DOUBLE_EQ(metrics_->time_to_first_token.mean(), 2);
  EXPECT_EQ(metrics_->time_to_first_answer_token.count(), 0u);
  meter.text({}, start_ + seconds(2));  // no text, no piece
  meter.token(start_ + seconds(3));
  meter.text({.reasoning = "", .content = "answer"}, start_ + seconds(3));
  meter.token(start_ + seconds(5));
  meter.text({.reasoning = "", .content = "ends"}, start_ + seconds(5));
  meter.finished(completion(FinishReason::kStop, {.prompt_tokens = 7, .completion_tokens = 3, .reasoning_tokens = 1}),
                 start_ + seconds(6));
  EXPECT_EQ(metrics_->time_to_first_token.count(), 1u);
  EXPECT_DOUBLE_EQ(metrics_->time_to_first_answer_token.mean(), 3);
  EXPECT_EQ(metrics_->inter_token_latency.count(), 2u);
  EXPECT_DOUBLE_EQ(metrics_->inter_token_latency.mean(), 1.5);
  EXPECT_DOUBLE_EQ(metrics_->time_per_output_token.mean(), 1.5);
  EXPECT_DOUBLE_EQ(metrics_->request_duration.mean(), 6);
  EXPECT_DOUBLE_EQ(metrics_->prompt_tokens.mean(), 7);
  EXPECT_DOUBLE_EQ(metrics_->generation_tokens.mean(), 3);
  EXPECT_EQ(metrics_->thinking_tokens.value(), 1);
  EXPECT_EQ(read("qwen_thoughts_total{ended_by=\"natural\"}"), 1);
  EXPECT_EQ(read(name("stop")), 1);
}

TEST_F(Meter, OneTokenHasNoTimePerToken) {
  GenerationMeter meter(metrics_, start_);
  meter.token(start_ + milliseconds(1));
  meter.finished(completion(FinishReason::kLength, {.prompt_tokens = 1, .completion_tokens = 1}),
                 start_ + milliseconds(2));
  EXPECT_EQ(metrics_->time_per_output_token.count(), 0u);
  EXPECT_EQ(read("qwen_thoughts_total{ended_by=\"natural\"}"), -1);  // there was no thought
  EXPECT_EQ(read(name("length")), 1);
}

TEST_F(Meter, AnAbortCountsButIsNoDuration) {
  GenerationMeter meter(metrics_, start_);
  meter.token(start_ + seconds(1));
  Completion aborted =
      completion(FinishReason::kCancelled, {.prompt_tokens = 7, .completion_tokens = 1, .reasoning_tokens = 1});
  aborted.thinking_end = ThinkingEnd::kClient;
  meter.finished(aborted, start_ + seconds(1));
  EXPECT_EQ(read("qwen_thoughts_total{ended_by=\"client\"}"), 1);
  EXPECT_EQ(read(name("abort")), 1);
  EXPECT_EQ(metrics_->request_duration.count(), 0u);
  EXPECT_EQ(metrics_->generation_tokens.count(), 0u);
  EXPECT_EQ(metrics_->thinking_tokens.value(), 1);
}

TEST_F(Meter, ReasonsInTheFieldsWords) {
  for (const auto& [reason, label] : {std::pair(FinishReason::kDeadline, "timeout"),
                                      {FinishReason::kQueueTimeout, "queue_timeout"},
                                      {FinishReason::kError, "error"}}) {
    GenerationMeter(metrics_, start_).finished(completion(reason, {}), start_);
    EXPECT_EQ(read(name(label)), 1);
  }
}

TEST_F(Meter, MeasuresNothingWithoutMetrics) {
  GenerationMeter meter(nullptr, start_);
  meter.token();
  meter.text({.reasoning = "", .content = "x"});
  meter.finished(completion(FinishReason::kStop, {}));
}

}  // namespace
}  // namespace qwen::test
