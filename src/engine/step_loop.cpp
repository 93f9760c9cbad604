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

// How often those that wait for their turn are looked through: there may be thousands, and a step may take a moment.
constexpr std::chrono::milliseconds kOverdueCheck{50};

constexpr std::string_view kOutOfMemory = "out of memory";
constexpr auto kEverything = [](RequestId, const auto&) { return true; };

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
  if (closed_) return end_where(kEverything, FinishReason::kCancelled);
  log_error(kMaxFailures, " steps in a row failed: the engine stops");
  inbox_.close();
  {
    const std::lock_guard lock(stats_mutex_);
    stats_.healthy = false;
  }
  drain_inbox();
  end_where(kEverything, FinishReason::kError, "the engine failed");
}

void StepLoop::drain_inbox() {
  Inbox::Contents contents = inbox_.drain();
  closed_ = contents.closed;
  for (Submission& submission : contents.submissions) {
    const RequestId id = submission.sequence->id();
    const std::shared_ptr<TokenChannel> channel = submission.channel;
    try {
      requests_.emplace(id, Request{std::move(submission.channel), submission.deadline, submission.start_by});
      scheduler_.add(std::move(submission.sequence));
    } catch (const std::exception&) {  // of memory; whatever it is, the next submission is not to be lost
      requests_.erase(id);
      inbox_.request_ended();
      channel->finish({-1, 0, FinishReason::kError, {}}, kOutOfMemory);
      channel->notify();
    }
  }
  if (contents.cancels) end_cancelled();
}

void StepLoop::end_cancelled() {
  end_where([](RequestId, const Request& request) { return request.channel->cancelled(); }, FinishReason::kCancelled);
}

void StepLoop::end_expired() {
  const auto now = std::chrono::steady_clock::now();
  end_where([now](RequestId, const Request& request) { return request.deadline && *request.deadline <= now; },
            FinishReason::kDeadline);
}

// After the plan, so that whose turn has come is not turned away in the same moment.
void StepLoop::end_overdue() {
  const auto now = std::chrono::steady_clock::now();
  if (now < next_overdue_check_) return;
  next_overdue_check_ = now + kOverdueCheck;
  end_where([now](RequestId, const Request& request) { return request.start_by && *request.start_by <= now; },
            FinishReason::kQueueTimeout);
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
      Request& request = requests_.at(sequence.id());
      request.start_by.reset();
      request.channel->set_cached_tokens(sequence.num_cached_tokens());
    }
  }
  end_overdue();
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
  for (SequenceEvent& event : events) deliver(event.id, std::move(event.event));
}

void StepLoop::deliver(RequestId id, TokenEvent event) {
  const auto request = requests_.find(id);
  const std::shared_ptr<TokenChannel> channel = request->second.channel;
  if (event.finish_reason == FinishReason::kNone) {
    try {
      channel->push(std::move(event));
    } catch (const std::bad_alloc&) {  // a stream with a hole is worth nothing; the others of this step go on
      return end_request(id, FinishReason::kError, kOutOfMemory);
    }
  } else {
    requests_.erase(request);
    inbox_.request_ended();  // first: who reads the end may submit again at once
    channel->finish(std::move(event));
  }
  channel->notify();
}

// Whatever threw, the sequences it concerned give up their blocks: nothing half computed is ever read.
void StepLoop::fail_step(const char* what) {
  ++failures_in_a_row_;
  {
    const std::lock_guard lock(stats_mutex_);
    ++stats_.failed_steps;
  }
  try {
    log_error("a step failed: ", what);
  } catch (const std::exception&) {  // no memory for the line
  }
  const auto concerned = [this](RequestId id, const Request&) {
    if (!in_step_.empty()) return std::find(in_step_.begin(), in_step_.end(), id) != in_step_.end();
    const Sequence* const sequence = scheduler_.find(id);
    return sequence != nullptr && sequence->status == Sequence::Status::kRunning;
  };
  end_where(concerned, FinishReason::kError, "the engine failed on this request");
  in_step_.clear();
}

void StepLoop::end_request(RequestId id, FinishReason reason, std::string_view error) {
  const auto request = requests_.find(id);
  if (request == requests_.end()) return;
  const std::shared_ptr<TokenChannel> channel = std::move(request->second.channel);
  requests_.erase(request);
  scheduler_.remove(id);
  inbox_.request_ended();
  note_state();
  channel->finish({-1, 0, reason, {}}, error);
  channel->notify();
}

template <typename Concerned>
void StepLoop::end_where(const Concerned& concerned, FinishReason reason, std::string_view error) {
  for (auto next = requests_.begin(); next != requests_.end();) {
    const auto request = next++;  // ending it leaves other iterators valid
    if (concerned(request->first, request->second)) end_request(request->first, reason, error);
  }
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
