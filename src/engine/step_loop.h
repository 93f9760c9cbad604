// What the engine thread does, step after step: take in requests, plan, run the model, hand out tokens.
// Invariant: every request that the inbox accepted gets exactly one last event, whatever happens; ending a request
// allocates nothing, for memory may be what has run out.
#pragma once

#include <atomic>
#include <mutex>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/block_manager.h"
#include "engine/engine.h"
#include "engine/inbox.h"
#include "engine/model_runner.h"
#include "engine/scheduler.h"

namespace qwen {

class StepLoop {
 public:
  StepLoop(CausalLm& model, KvCache& cache, Inbox& inbox, const SchedulerOptions& options, int num_valid_tokens);

  void set_on_step(std::function<void(const StepReport&)> on_step) { on_step_ = std::move(on_step); }

  // Returns after the inbox was closed or after kMaxFailures steps in a row failed; all requests have ended then.
  void run();
  EngineStats stats() const;  // thread-safe

 private:
  static constexpr int kMaxFailures = 3;

  struct Request {
    std::shared_ptr<TokenChannel> channel;
    std::optional<std::chrono::steady_clock::time_point> deadline;
    std::optional<std::chrono::steady_clock::time_point> start_by;  // gone once it has begun
  };

  void drain_inbox();
  void end_cancelled();
  void end_expired();
  void end_overdue();
  void step();
  void fail_step(const char* what);
  void publish(std::vector<SequenceEvent> events, int prompt_tokens, StepReport report);
  void deliver(RequestId id, TokenEvent event);
  // Of what has not finished by itself. `error` is a literal.
  void end_request(RequestId id, FinishReason reason, std::string_view error = {});
  template <typename Concerned>  // bool(id, request)
  void end_where(const Concerned& concerned, FinishReason reason, std::string_view error = {});
  void note_state();     // for stats()
  void beat() noexcept;  // the heartbeat moves

  Inbox& inbox_;
  BlockManager blocks_;
  Scheduler scheduler_;
  ModelRunner runner_;
  // Read only in a step with work, so after a submission has come through the inbox, whose lock orders it after the
  // set.
  std::function<void(const StepReport&)> on_step_;
  std::unordered_map<RequestId, Request> requests_;
  std::vector<RequestId> in_step_;  // what the step in progress computes
  std::chrono::steady_clock::time_point next_overdue_check_;
  int failures_in_a_row_ = 0;
  bool closed_ = false;

  std::atomic<std::chrono::steady_clock::time_point> heartbeat_;
  mutable std::mutex stats_mutex_;
  EngineStats stats_;  // but for heartbeat and waiting
};

}  // namespace qwen
