// Timing the forward pass beside what the machine can do at that moment. Ceilings are probed before and after every
// run, because on a shared machine bandwidth and clocks move within minutes; only the ratio is comparable.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backend/cpu/machine_probe.h"
#include "commands/direct_runner.h"
#include "commands/step_cost.h"

namespace qwen {

struct BenchOptions {
  int prompt_tokens = 512;
  int decode_tokens = 64;
  int depth = 0;                          // tokens in the cache before each measurement
  std::vector<int> batch = {1, 2, 4, 8};  // sequences decoding together
  int repeat = 3;
  int threads = 0;
};

// One timed run. Ceilings are the mean of the probes before and after.
struct BenchRun {
  double seconds = 0;
  double peak = 0;  // GB/s read, or GFLOPS of dot products
};

struct BenchResult {
  enum class Kind { kPrefill, kDecode };
  Kind kind = Kind::kPrefill;
  int batch = 1;    // sequences
  int tokens = 0;   // of all sequences, in one run
  double work = 0;  // of one run: bytes read (decode) or floating point operations (prefill)
  std::vector<BenchRun> runs;

  double tokens_per_second() const;  // medians over the runs
  double rate() const;               // GB/s or GFLOPS
  double peak() const;
  double fraction() const;  // of each run's own peak
};

class Bench {
 public:
  Bench(CausalLm& model, const BenchOptions& options, const StepCost& cost);
  void warm_up();  // touches weights and buffers for the first time
  BenchResult prefill();
  BenchResult decode(int batch);

 private:
  static constexpr int kWarmUpSteps = 2;
  static constexpr double kProbeSeconds = 0.5;

  // Times `repeat` runs, each between two probes.
  template <typename Run>
  void measure(BenchResult& result, double MachineCeilings::*ceiling, const Run& run);
  void fill(int sequence);  // `depth` tokens
  std::vector<TokenId> random_ids(int count);

  BenchOptions options_;
  StepCost cost_;
  std::string kernels_;
  int chunk_;
  DirectRunner runner_;
  uint64_t random_state_ = 1;
};

}  // namespace qwen
