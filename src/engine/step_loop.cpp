// See step_loop.h.
#include "engine/step_loop.h"

#include <algorithm>
#include <exception>
#include <new>
#include <utility>

#include "base/log.h"

namespace qwen {

namespace {

// How often the heartbeat moves while nothing is to do.
constexpr std::chrono::milliseconds kIdle{250};

}  // namespace

StepLoop::StepLoop(CausalLm& model, KvCache& cache, Inbox& inbox, const SchedulerOptions& options, int num_valid_tokens)
    : inbox_(inbox),
      blocks_(cache.num_blocks(), cache.block_size()),
      scheduler_(options, blocks_),
      runner_(model, cache, num_valid_tokens) {
  stats_.total_blocks = blocks_.num_blocks();
  stats_.block_size = blocks_.block_size();
  model.set_on_progress([this] { beat(); });
  note_state();
  beat();
}

void StepLoop::run() {
  while (!closed_ && failures_in_a_row_ < kMaxFailures) {
    try {
      drain_inbox();
      end_expired();
      if (!closed_) step();
    } catch (const std::exception& error) {
      fail_step(error.what());
    }
    note_state();
    beat();
  }
  if (closed_) return end_all(FinishReason::kCancelled);
  log_error(kMaxFailures, " steps in a row failed: the engine stops");
  inbox_.close();
  {
    const std::lock_guard lock(stats_mutex_);
    stats_.healthy = false;
  }
  drain_inbox();
  end_all(FinishReason::kError, "the engine failed");
}

void StepLoop::drain_inbox() {
  Inbox::Contents contents = inbox_.drain();
  closed_ = contents.closed;
  for (Submission& submission : contents.submissions) {
    const RequestId id = submission.sequence->id();
    const std::shared_ptr<TokenChannel> channel = submission.channel;
    try {
      requests_.emplace(id, Request{std::move(submission.channel), submission.deadline});
      scheduler_.add(std::move(submission.sequence));
    } catch (const std::bad_alloc&) {
      requests_.erase(id);
      inbox_.request_ended();
      channel->push({-1, 0, FinishReason::kError, "out of memory"});
      channel->notify();
    }
  }
  if (contents.cancels) end_cancelled();
}

void StepLoop::end_cancelled() {
  std::vector<RequestId> cancelled;
  for (const auto& [id, request] : requests_) {
    if (request.channel->cancelled()) cancelled.push_back(id);
  }
  for (const RequestId id : cancelled) end_request(id, FinishReason::kCancelled);
}

void StepLoop::end_expired() {
  const auto now = std::chrono::steady_clock::now();
  std::vector<RequestId> expired;
  for (const auto& [id, request] : requests_) {
    if (request.deadline && *request.deadline <= now) expired.push_back(id);
  }
  for (const RequestId id : expired) end_request(id, FinishReason::kDeadline);
}

void StepLoop::step() {
  in_step_.clear();
  const auto begin = std::chrono::steady_clock::now();
  const SchedulerOutput plan = scheduler_.schedule();
  if (plan.empty()) return inbox_.wait(kIdle);
  int prompt_tokens = 0;
  for (const ScheduledSequence& scheduled : plan.sequences) {
    const Sequence& sequence = *scheduled.sequence;
    in_step_.push_back(sequence.id());
    if (sequence.num_output_tokens() == 0) {
      prompt_tokens += scheduled.num_new_tokens;
      requests_.at(sequence.id()).channel->set_cached_tokens(sequence.num_cached_tokens());
    }
  }
  runner_.launch(plan);
  const std::vector<SampledToken> sampled = runner_.collect();
  StepReport report{.num_sequences = static_cast<int>(plan.sequences.size()), .num_tokens = plan.num_tokens};
  std::vector<SequenceEvent> events = scheduler_.update(plan, sampled);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  publish(std::move(events), prompt_tokens, report);
  failures_in_a_row_ = 0;
}

void StepLoop::publish(std::vector<SequenceEvent> events, int prompt_tokens, StepReport report) {
  for (const SequenceEvent& event : events) report.num_generated += event.event.id >= 0 ? 1 : 0;
  {
    const std::lock_guard lock(stats_mutex_);
    ++stats_.steps;
    stats_.prompt_tokens += static_cast<uint64_t>(prompt_tokens);
    stats_.generated_tokens += static_cast<uint64_t>(report.num_generated);
  }
  note_state();
  if (on_step_) on_step_(report);
  for (SequenceEvent& event : events) {
    const auto request = requests_.find(event.id);
    const std::shared_ptr<TokenChannel> channel = request->second.channel;
    if (event.event.finish_reason != FinishReason::kNone) {
      requests_.erase(request);
      inbox_.request_ended();
    }
    channel->push(std::move(event.event));
    channel->notify();
  }
}

// Whatever threw, the sequences it concerned give up their blocks: nothing half computed is ever read.
void StepLoop::fail_step(const std::string& what) {
  ++failures_in_a_row_;
  {
    const std::lock_guard lock(stats_mutex_);
    ++stats_.failed_steps;
  }
  log_error("a step failed: ", what);
  const std::vector<RequestId> concerned = in_step_.empty() ? scheduler_.running_ids() : in_step_;
  for (const RequestId id : concerned) end_request(id, FinishReason::kError, "the engine failed on this request");
  in_step_.clear();
}

void StepLoop::end_request(RequestId id, FinishReason reason, const std::string& error) {
  const auto request = requests_.find(id);
  if (request == requests_.end()) return;
  const std::shared_ptr<TokenChannel> channel = std::move(request->second.channel);
  requests_.erase(request);
  scheduler_.remove(id);
  inbox_.request_ended();
  note_state();
  channel->push({-1, 0, reason, error});
  channel->notify();
}

void StepLoop::end_all(FinishReason reason, const std::string& error) {
  while (!requests_.empty()) end_request(requests_.begin()->first, reason, error);
}

void StepLoop::beat() noexcept { heartbeat_.store(std::chrono::steady_clock::now(), std::memory_order_relaxed); }

void StepLoop::note_state() {
  const std::lock_guard lock(stats_mutex_);
  stats_.running = scheduler_.num_running();
  stats_.free_blocks = blocks_.num_free_blocks();
  stats_.preemptions = scheduler_.num_preemptions();
}

EngineStats StepLoop::stats() const {
  const int in_flight = inbox_.in_flight();
  const std::lock_guard lock(stats_mutex_);
  EngineStats stats = stats_;
  stats.heartbeat = heartbeat_.load(std::memory_order_relaxed);
  stats.waiting = std::max(0, in_flight - stats.running);
  return stats;
}

}  // namespace qwen
