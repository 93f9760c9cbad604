// See scheduler.h.
#include "engine/scheduler.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/error.h"

namespace qwen {

namespace {

void schedule_tokens(SchedulerOutput& plan, Sequence& sequence, int count) {
  plan.sequences.push_back({&sequence, count, count == sequence.num_uncomputed_tokens()});
  plan.num_tokens += count;
}

}  // namespace

Scheduler::Scheduler(const SchedulerOptions& options, BlockManager& blocks) : options_(options), blocks_(blocks) {
  QWEN_CHECK(options.max_num_seqs > 0 && options.max_num_batched_tokens >= options.max_num_seqs);
}

void Scheduler::add(std::unique_ptr<Sequence> sequence) {
  QWEN_CHECK(sequence->status == Sequence::Status::kWaiting);
  const RequestId id = sequence->id();
  QWEN_CHECK(!running_.contains(id));
  QWEN_CHECK(waiting_.emplace(id, std::move(sequence)).second);
}

void Scheduler::remove(RequestId id) {
  if (const auto running = running_.find(id); running != running_.end()) {
    blocks_.free(*running->second);
    running_.erase(running);
  } else {
    waiting_.erase(id);
  }
}

SchedulerOutput Scheduler::schedule() {
  SchedulerOutput plan;
  const auto decodes = std::count_if(running_.begin(), running_.end(),
                                     [](const auto& entry) { return entry.second->num_uncomputed_tokens() == 1; });
  int prefill_budget = options_.max_num_batched_tokens - static_cast<int>(decodes);
  const uint64_t preemptions_before = num_preemptions_;
  schedule_running(plan, prefill_budget);
  if (num_preemptions_ == preemptions_before) admit_waiting(plan, prefill_budget);
  return plan;
}

void Scheduler::schedule_running(SchedulerOutput& plan, int& prefill_budget) {
  for (auto it = running_.begin(); it != running_.end(); ++it) {
    Sequence& sequence = *it->second;
    const int uncomputed = sequence.num_uncomputed_tokens();
    const int count = uncomputed == 1 ? 1 : std::min(uncomputed, prefill_budget);
    if (count == 0) continue;
    if (!grow(sequence, sequence.num_computed_tokens() + count)) break;  // it was the youngest: nobody comes after it
    if (uncomputed > 1) prefill_budget -= count;
    schedule_tokens(plan, sequence, count);
  }
}

void Scheduler::admit_waiting(SchedulerOutput& plan, int& prefill_budget) {
  while (!waiting_.empty() && prefill_budget > 0 && num_running() < options_.max_num_seqs) {
    Sequence& sequence = *waiting_.begin()->second;
    // One spare block per running sequence, so that what is admitted is not preempted by the next step's decodes.
    const int cached = blocks_.match_prefix(sequence);
    const int missing = blocks_.blocks_for(sequence.num_tokens()) - static_cast<int>(sequence.block_table.size());
    if (blocks_.num_free_blocks() < missing + num_running() || !blocks_.allocate(sequence, sequence.num_tokens())) {
      blocks_.free(sequence);
      return;
    }
    sequence.set_num_computed_tokens(cached);
    if (sequence.num_output_tokens() == 0) sequence.set_num_cached_tokens(cached);
    sequence.status = Sequence::Status::kRunning;
    running_.insert(waiting_.extract(waiting_.begin()));
    const int count = std::min(sequence.num_uncomputed_tokens(), prefill_budget);
    prefill_budget -= count;
    schedule_tokens(plan, sequence, count);
  }
}

bool Scheduler::grow(Sequence& sequence, int num_tokens) {
  while (!blocks_.allocate(sequence, num_tokens)) {
    const auto youngest = std::prev(running_.end());
    const bool itself = youngest->second.get() == &sequence;
    QWEN_CHECK(!itself || running_.size() > 1);  // alone it always fits: see the constructor
    preempt(youngest);
    if (itself) return false;
  }
  return true;
}

void Scheduler::preempt(Queue::iterator victim) {
  Sequence& sequence = *victim->second;
  blocks_.free(sequence);
  sequence.set_num_computed_tokens(0);
  sequence.status = Sequence::Status::kWaiting;
  waiting_.insert(running_.extract(victim));
  ++num_preemptions_;
}

std::vector<SequenceEvent> Scheduler::update(const SchedulerOutput& plan, std::span<const SampledToken> sampled) {
  std::vector<SequenceEvent> events;
  events.reserve(sampled.size());
  size_t next = 0;
  for (const ScheduledSequence& scheduled : plan.sequences) {
    Sequence& sequence = *scheduled.sequence;
    sequence.set_num_computed_tokens(sequence.num_computed_tokens() + scheduled.num_new_tokens);
    blocks_.publish(sequence);
    if (!scheduled.samples) continue;
    QWEN_CHECK(next < sampled.size());
    const SampledToken& token = sampled[next++];
    TokenEvent event{token.id, token.logprob, FinishReason::kNone, token.error};
    event.finish_reason = token.error.empty() ? sequence.append(token.id) : FinishReason::kError;
    const RequestId id = sequence.id();
    const bool finished = event.finish_reason != FinishReason::kNone;
    events.push_back({id, std::move(event)});
    if (finished) {
      sequence.status = Sequence::Status::kFinished;
      remove(id);
    }
  }
  QWEN_CHECK(next == sampled.size());
  return events;
}

const Sequence* Scheduler::find(RequestId id) const {
  for (const Queue* queue : {&running_, &waiting_}) {
    if (const auto found = queue->find(id); found != queue->end()) return found->second.get();
  }
  return nullptr;
}

}  // namespace qwen
