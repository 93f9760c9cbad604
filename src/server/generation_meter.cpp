#include "server/generation_meter.h"

#include "metrics/metrics.h"
#include "server/text_stream.h"

namespace qwen {
namespace {

double seconds(GenerationMeter::Clock::duration time) { return std::chrono::duration<double>(time).count(); }

}  // namespace

std::string_view finish_reason_label(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kDeadline:
      return "timeout";
    case FinishReason::kQueueTimeout:
      return "queue_timeout";
    case FinishReason::kError:
      return "error";
    case FinishReason::kNone:
    case FinishReason::kCancelled:
      break;
  }
  return "abort";
}

GenerationMeter::GenerationMeter(std::shared_ptr<const Metrics> metrics, Clock::time_point started)
    : metrics_(std::move(metrics)), started_(started) {}

void GenerationMeter::token(Clock::time_point now) {
  if (!metrics_) return;
  if (tokens_++ == 0) {
    first_token_ = now;
    metrics_->time_to_first_token.observe(seconds(now - started_));
  }
  last_token_ = now;
}

void GenerationMeter::text(const TextDelta& delta, Clock::time_point now) {
  if (!metrics_ || delta.empty()) return;
  if (last_text_) metrics_->inter_token_latency.observe(seconds(now - *last_text_));
  last_text_ = now;
  if (answer_began_ || delta.content.empty()) return;
  answer_began_ = true;
  metrics_->time_to_first_answer_token.observe(seconds(now - started_));
}

void GenerationMeter::finished(const Completion& completion, Clock::time_point now) {
  if (!metrics_) return;
  const FinishReason reason = completion.finish_reason;
  const Usage& usage = completion.usage;
  metrics_->finished.with({finish_reason_label(reason)}).add();
  if (usage.reasoning_tokens > 0) {
    metrics_->thinking_tokens.add(usage.reasoning_tokens);
    metrics_->thoughts.with({thinking_end_name(completion.thinking_end)}).add();
  }
  if (reason == FinishReason::kNone || reason == FinishReason::kCancelled || reason == FinishReason::kQueueTimeout)
    return;  // nothing of it was computed, or not all
  metrics_->request_duration.observe(seconds(now - started_));
  metrics_->prompt_tokens.observe(usage.prompt_tokens);
  metrics_->generation_tokens.observe(usage.completion_tokens);
  if (tokens_ > 1) metrics_->time_per_output_token.observe(seconds(last_token_ - first_token_) / (tokens_ - 1));
}

}  // namespace qwen
