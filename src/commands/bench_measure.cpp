#include "commands/bench_measure.h"

#include <algorithm>
#include <chrono>

namespace qwen {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

template <typename Fn>
double median_of(const std::vector<BenchRun>& runs, Fn fn) {
  std::vector<double> values;
  values.reserve(runs.size());
  for (const BenchRun& run : runs) values.push_back(fn(run));
  return median(std::move(values));
}

}  // namespace

double BenchResult::tokens_per_second() const {
  return median_of(runs, [this](const BenchRun& run) { return tokens / run.seconds; });
}
double BenchResult::rate() const {
  return median_of(runs, [this](const BenchRun& run) { return work / run.seconds / 1e9; });
}
double BenchResult::peak() const {
  return median_of(runs, [](const BenchRun& run) { return run.peak; });
}
double BenchResult::fraction() const {
  return median_of(runs,
                   [this](const BenchRun& run) { return run.peak > 0 ? work / run.seconds / 1e9 / run.peak : 0; });
}

Bench::Bench(CausalLm& model, const BenchOptions& options, const StepCost& cost)
    : options_(options),
      cost_(cost),
      kernels_(model.backend().kernels()),
      chunk_(model.max_batched_tokens()),
      runner_(model, *std::max_element(options.batch.begin(), options.batch.end()),
              options.depth + std::max(options.prompt_tokens, options.decode_tokens + kWarmUpSteps)) {}

void Bench::warm_up() {
  runner_.prefill(0, random_ids(options_.prompt_tokens), chunk_);
  runner_.truncate(0, 0);
}

BenchResult Bench::prefill() {
  BenchResult result;
  result.kind = BenchResult::Kind::kPrefill;
  result.tokens = options_.prompt_tokens;
  result.work = cost_.prefill_flops(options_.prompt_tokens, options_.depth);
  fill(0);
  const std::vector<TokenId> prompt = random_ids(options_.prompt_tokens);
  const auto run = [&] {
    runner_.truncate(0, options_.depth);
    runner_.prefill(0, prompt, chunk_);
  };
  measure(result, &MachineCeilings::dot_gflops, run);
  return result;
}

BenchResult Bench::decode(int batch) {
  BenchResult result;
  result.kind = BenchResult::Kind::kDecode;
  result.batch = batch;
  result.tokens = batch * options_.decode_tokens;
  for (int i = 0; i < options_.decode_tokens; ++i) result.work += cost_.decode_bytes(batch, options_.depth + i);
  for (int sequence = 0; sequence < batch; ++sequence) fill(sequence);
  const std::vector<TokenId> ids = random_ids(batch);
  std::vector<DirectRunner::Chunk> chunks;
  chunks.reserve(static_cast<size_t>(batch));
  for (int i = 0; i < batch; ++i) chunks.push_back({i, {&ids[static_cast<size_t>(i)], 1}, DirectRunner::Logits::kLast});
  const auto steps = [&](int count) {
    for (int i = 0; i < batch; ++i) runner_.truncate(i, options_.depth);
    for (int i = 0; i < count; ++i) runner_.step(chunks);
  };
  steps(kWarmUpSteps);
  measure(result, &MachineCeilings::read_gbs, [&] { steps(options_.decode_tokens); });
  return result;
}

template <typename Run>
void Bench::measure(BenchResult& result, double MachineCeilings::*ceiling, const Run& run) {
  const auto probe = [&] { return probe_machine(kernels_, options_.threads, kProbeSeconds).*ceiling; };
  double before = probe();
  for (int i = 0; i < options_.repeat; ++i) {
    const auto start = Clock::now();
    run();
    const double seconds = seconds_since(start);
    const double after = probe();
    result.runs.push_back({seconds, (before + after) / 2});
    before = after;
  }
}

void Bench::fill(int sequence) {
  if (runner_.length(sequence) < options_.depth) {
    runner_.truncate(sequence, 0);
    runner_.prefill(sequence, random_ids(options_.depth), chunk_);
  }
  runner_.truncate(sequence, options_.depth);
}

std::vector<TokenId> Bench::random_ids(int count) {
  std::vector<TokenId> ids(static_cast<size_t>(count));
  for (TokenId& id : ids) {
    random_state_ = random_state_ * 6364136223846793005u + 1442695040888963407u;
    id = static_cast<TokenId>((random_state_ >> 33) % static_cast<uint64_t>(runner_.vocab_size()));
  }
  return ids;
}

}  // namespace qwen
