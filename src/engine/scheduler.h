// Decides what every step computes: continuous batching with chunked prefill and preemption. Integers in, integers out;
// no tensor, clock or device.
//
// Policy: first come, first served. Decoding sequences get their one token first, prefills share the rest of the budget
// in the order of arrival. A waiting sequence is admitted when blocks for all its tokens are free; nobody overtakes it.
// When a running sequence needs a block and none is free, the youngest running sequence gives up its blocks and waits
// to be recomputed; the oldest always advances. Recomputing changes nothing: its tokens are kept, and the model gives
// the same keys and values for them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/block_manager.h"
#include "engine/scheduler_output.h"
#include "engine/sequence.h"
#include "engine/token_stream.h"

namespace qwen {

struct SchedulerOptions {
  int max_num_seqs = 16;             // running at once
  int max_num_batched_tokens = 512;  // ≥ max_num_seqs
};

// What the sampler chose for one sequence. `error` not empty: nothing could be chosen, the request ends.
struct SampledToken {
  TokenId id = -1;
  float logprob = 0;
  std::string error;
};

struct SequenceEvent {
  RequestId id = 0;
  TokenEvent event;
};

class Scheduler {
 public:
  // `blocks` must hold the longest sequence that is ever added, else it would wait for ever.
  Scheduler(const SchedulerOptions& options, BlockManager& blocks);

  void add(std::unique_ptr<Sequence> sequence);
  void remove(RequestId id);  // cancelled or failed: frees its blocks; an unknown id has finished already

  SchedulerOutput schedule();
  // The plan was executed; `sampled` has one entry per sequence of the plan with `samples`, in order. Finished
  // sequences are gone afterwards.
  std::vector<SequenceEvent> update(const SchedulerOutput& plan, std::span<const SampledToken> sampled);

  const Sequence* find(RequestId id) const;
  int num_running() const { return static_cast<int>(running_.size()); }
  int num_waiting() const { return static_cast<int>(waiting_.size()); }
  uint64_t num_preemptions() const { return num_preemptions_; }

 private:
  using Queue = std::map<RequestId, std::unique_ptr<Sequence>>;  // ids ascend with arrival, so the order is first come,
                                                                 // first served

  void schedule_running(SchedulerOutput& plan, int& prefill_budget);
  void admit_waiting(SchedulerOutput& plan, int& prefill_budget);
  bool grow(Sequence& sequence, int num_tokens);  // false: the sequence itself was preempted
  void preempt(Queue::iterator victim);

  SchedulerOptions options_;
  BlockManager& blocks_;
  Queue waiting_, running_;
  uint64_t num_preemptions_ = 0;
};

}  // namespace qwen
