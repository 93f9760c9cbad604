// Timing the forward pass beside what the machine can do at that moment: ceilings are probed before and after every
// run. Token ids and what the cache holds before a test are random; speed depends on neither.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backend/cpu/machine_probe.h"
#include "commands/bench_result.h"
#include "commands/direct_runner.h"
#include "commands/step_cost.h"

namespace qwen {

struct BenchOptions {
  std::vector<int> prefill = {128, 512, 2048};    // tokens of the prompt, one test each
  std::vector<int> decode = {0, 2048, 8192};      // depths: tokens in the cache before the test
  std::vector<int> batch = {1, 2, 4, 8, 16, 32};  // sequences decoding together
  int steps = 16;                                 // of a decode or batch run
  int runs = 5;                                   // of each test
  int attempts = 3;                               // at each of them, while the machine is not steady
  int threads = 0;
  ProbedDot dot = ProbedDot::kFloat;  // the products that bound computing

  static constexpr int kBatchDepth = 64;  // tokens of each sequence before a batch test
  static constexpr int kWarmUpSteps = 2;
  int longest_sequence() const;
  int most_sequences() const;
};

class Bench {
 public:
  Bench(CausalLm& model, const BenchOptions& options, const StepCost& cost);
  void warm_up();  // touches weights and buffers for the first time
  BenchResult prefill(int tokens);
  BenchResult decode(int depth);
  BenchResult batch(int sequences);

 private:
  static constexpr double kProbeSeconds = 0.5;

  // Times calls of `run`, each between two probes, until options_.runs of them are steady or attempts are used up.
  template <typename Run>
  void measure(BenchResult& result, const Run& run);
  // Steps in which every sequence appends one token, after `depth` others.
  void measure_steps(BenchResult& result, int sequences, int depth);
  std::vector<TokenId> random_ids(int count);

  CausalLm& model_;
  BenchOptions options_;
  StepCost cost_;
  uint64_t random_state_ = 1;
};

}  // namespace qwen
