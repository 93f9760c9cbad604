// Owns the model, its cache and the one thread that touches them; speaks tokens only. Text, templates, stop strings and
// JSON exist above.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/token_id.h"
#include "engine/sampling_params.h"
#include "engine/token_constraint.h"
#include "engine/token_stream.h"

namespace qwen {

class CausalLm;

struct EngineOptions {
  int max_model_len =
      0;  // most tokens of one sequence, prompt and output; 0 = the model's, cut to what the KV cache holds
  int max_num_seqs = 16;             // sequences in one step
  int max_num_batched_tokens = 512;  // tokens in one step; a longer prompt is prefilled in chunks
  int max_waiting = 1024;            // requests beyond max_num_seqs that may wait; past it submit() throws kOverloaded
  int block_size = 0;                // tokens of a KV block; 0 = the backend's tile
  size_t kv_cache_bytes = 0;         // 0 = derived from free memory,
  int processes = 1;                 // which so many engines like this one share
  int num_valid_tokens = 0;  // ids from here on pad the embedding table and are never sampled; 0 = all are valid
};

struct GenerationRequest {
  std::vector<TokenId> prompt;  // not empty
  SamplingParams sampling;
  std::unique_ptr<TokenConstraint> constraint;                    // may be null
  std::optional<std::chrono::steady_clock::time_point> deadline;  // passed: finishes with kDeadline
  // Not begun by then: finishes with kQueueTimeout. A sequence that was preempted has begun.
  std::optional<std::chrono::steady_clock::time_point> start_by;
  // Called on the engine thread once after the events of a step were added to the stream; must not block, throw or drop
  // the stream. May be empty. A call may still be under way while another thread drops the stream: own what it touches.
  std::function<void()> on_events;
};

struct EngineStats {
  int running = 0;
  int waiting = 0;  // accepted, not running: new or preempted
  int total_blocks = 0, free_blocks = 0, block_size = 0;
  uint64_t prompt_tokens = 0, generated_tokens = 0, preemptions = 0, steps = 0;
  uint64_t failed_steps = 0;
  bool healthy = true;
  std::chrono::steady_clock::time_point heartbeat;  // of the step loop
};

// One step that was executed.
struct StepReport {
  double seconds = 0;  // to plan it, run the model and sample
  int num_sequences = 0;
  int num_tokens = 0;  // computed, prompts included
  int num_generated = 0;
};

class Engine {
 public:
  // Sizes the KV cache and starts the thread. Errors: kOs/kDeviceUnavailable when the memory does not suffice for one
  // sequence.
  Engine(std::unique_ptr<CausalLm> model, const EngineOptions& options);
  ~Engine();  // shutdown()
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Thread-safe. Errors: kOverloaded when the queue is full, kDraining after shutdown(), kTemporary once the engine is
  // unhealthy (three steps in a row failed; it does not recover), kContextLengthExceeded when the prompt leaves no room
  // for one token, kInvalidValue for an id outside the vocabulary or a sampling parameter out of range.
  TokenStream submit(GenerationRequest request);

  // Called on the engine thread after every step, before anybody sees its tokens; must not block or throw. To be set
  // before the first submit().
  void set_on_step(std::function<void(const StepReport&)> on_step);

  int max_model_len() const;
  size_t kv_cache_bytes() const;  // of all blocks
  EngineStats stats() const;      // thread-safe
  void shutdown();                // refuses new work, cancels the rest, joins

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace qwen
