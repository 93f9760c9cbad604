// See bench_measure.h.
#include "commands/bench_measure.h"

#include <algorithm>
#include <chrono>

#include "commands/bench_machine.h"

namespace qwen {
namespace {

using Clock = std::chrono::steady_clock;

int largest(const std::vector<int>& values, int other) {
  return values.empty() ? other : std::max(other, *std::max_element(values.begin(), values.end()));
}

}  // namespace

int BenchOptions::longest_sequence() const {
  const int decoded = steps + kWarmUpSteps;
  const int deepest = decode.empty() ? 0 : largest(decode, 0) + decoded;
  return std::max({largest(prefill, 1), deepest, batch.empty() ? 0 : kBatchDepth + decoded});
}

int BenchOptions::most_sequences() const { return largest(batch, 1); }

Bench::Bench(CausalLm& model, const BenchOptions& options, const StepCost& cost)
    : model_(model), options_(options), cost_(cost) {}

void Bench::warm_up() {
  const int tokens = std::min(model_.max_batched_tokens(), options_.longest_sequence());
  DirectRunner(model_, 1, tokens).prefill(0, random_ids(tokens), tokens);
}

BenchResult Bench::prefill(int tokens) {
  BenchResult result{BenchResult::Kind::kPrefill, tokens, tokens};
  result.work.operations = cost_.prefill_operations(tokens, 0);
  const std::vector<TokenId> prompt = random_ids(tokens);
  DirectRunner runner(model_, 1, tokens);
  runner.fill(0, tokens);  // the cache's pages exist
  measure(result, [&] {
    runner.truncate(0, 0);
    runner.prefill(0, prompt, model_.max_batched_tokens());
  });
  return result;
}

BenchResult Bench::decode(int depth) {
  BenchResult result{BenchResult::Kind::kDecode, depth, options_.steps};
  for (int i = 0; i < options_.steps; ++i) result.work.bytes += cost_.decode_bytes(1, depth + i);
  measure_steps(result, 1, depth);
  return result;
}

BenchResult Bench::batch(int sequences) {
  constexpr int kDepth = BenchOptions::kBatchDepth;
  BenchResult result{BenchResult::Kind::kBatch, sequences, sequences * options_.steps};
  for (int i = 0; i < options_.steps; ++i) {
    result.work.bytes += cost_.decode_bytes(sequences, kDepth + i);
    result.work.operations += cost_.decode_operations(sequences, kDepth + i);
  }
  measure_steps(result, sequences, kDepth);
  return result;
}

void Bench::measure_steps(BenchResult& result, int sequences, int depth) {
  DirectRunner runner(model_, sequences, depth + std::max(options_.steps, BenchOptions::kWarmUpSteps));
  for (int i = 0; i < sequences; ++i) runner.fill(i, depth);
  const std::vector<TokenId> ids = random_ids(sequences);
  std::vector<DirectRunner::Chunk> chunks;
  for (int i = 0; i < sequences; ++i)
    chunks.push_back({i, {&ids[static_cast<size_t>(i)], 1}, DirectRunner::Logits::kLast});
  const auto steps = [&](int count) {
    for (int i = 0; i < sequences; ++i) runner.truncate(i, depth);
    for (int i = 0; i < count; ++i) runner.step(chunks);
  };
  steps(BenchOptions::kWarmUpSteps);
  measure(result, [&] { steps(options_.steps); });
}

template <typename Run>
void Bench::measure(BenchResult& result, const Run& run) {
  constexpr size_t kProbeBytes = size_t{1} << 30;
  const auto probe = [&] {
    return probe_machine(model_.backend().kernels(), options_.threads, kProbeSeconds, kProbeBytes, options_.dot);
  };
  const auto wanted = static_cast<size_t>(options_.runs);
  const auto bound_by = [](const MachineCeilings& ceilings) {
    return BenchRun{.read_gbs = ceilings.read_gbs, .dot_gops = ceilings.dot_gflops};
  };
  std::vector<BenchRun> runs;
  MachineCeilings before = probe();
  for (size_t steady = 0; steady < wanted && runs.size() < wanted * static_cast<size_t>(options_.attempts);) {
    const ProcessorTime time = processor_time();
    const auto start = Clock::now();
    run();
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    const double others = other_load(time, processor_time());
    const MachineCeilings after = probe();
    runs.push_back({.seconds = seconds,
                    .read_gbs = (before.read_gbs + after.read_gbs) / 2,
                    .dot_gops = (before.dot_gflops + after.dot_gflops) / 2,
                    .other_load = others,
                    .drift = bound_drift(result.work, bound_by(before), bound_by(after))});
    steady += is_steady(runs.back());
    before = after;
  }
  result.attempts = static_cast<int>(runs.size());
  result.runs = steadiest(runs, wanted);
}

std::vector<TokenId> Bench::random_ids(int count) {
  std::vector<TokenId> ids(static_cast<size_t>(count));
  for (TokenId& id : ids) {
    random_state_ = random_state_ * 6364136223846793005u + 1442695040888963407u;
    id = static_cast<TokenId>((random_state_ >> 33) % static_cast<uint64_t>(model_.config().vocab_size));
  }
  return ids;
}

}  // namespace qwen
