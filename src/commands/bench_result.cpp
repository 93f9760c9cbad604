// See bench_result.h.
#include "commands/bench_result.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace qwen {
namespace {

template <typename Fn>
double median_of(const std::vector<BenchRun>& runs, Fn fn) {
  std::vector<double> values;
  values.reserve(runs.size());
  for (const BenchRun& run : runs) values.push_back(fn(run));
  return median(std::move(values));
}

}  // namespace

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double bound_seconds(const BenchWork& work, const BenchRun& run) {
  const double memory = run.read_gbs > 0 ? work.bytes / 1e9 / run.read_gbs : 0;
  const double compute = run.dot_gops > 0 ? work.operations / 1e9 / run.dot_gops : 0;
  return std::max(memory, compute);
}

double bound_drift(const BenchWork& work, const BenchRun& before, const BenchRun& after) {
  const double a = bound_seconds(work, before), b = bound_seconds(work, after);
  return std::max(a, b) > 0 ? std::abs(a - b) / std::max(a, b) : 0;
}

bool is_steady(const BenchRun& run) { return run.drift <= kMostDrift && run.other_load <= kMostOtherLoad; }

std::vector<BenchRun> steadiest(const std::vector<BenchRun>& runs, size_t wanted) {
  std::vector<BenchRun> chosen = runs;
  std::stable_partition(chosen.begin(), chosen.end(), is_steady);
  chosen.resize(std::min(chosen.size(), wanted));
  return chosen;
}

double BenchResult::tokens_per_second() const {
  return median_of(runs, [this](const BenchRun& run) { return tokens / run.seconds; });
}
double BenchResult::best() const {
  double best = 0;
  for (const BenchRun& run : runs) best = std::max(best, tokens / run.seconds);
  return best;
}
double BenchResult::ceiling() const {
  return median_of(runs, [this](const BenchRun& run) {
    const double bound = bound_seconds(work, run);
    return bound > 0 ? tokens / bound : 0;
  });
}
double BenchResult::share() const {
  return median_of(runs, [this](const BenchRun& run) { return bound_seconds(work, run) / run.seconds; });
}
double BenchResult::read_gbs() const {
  return median_of(runs, [](const BenchRun& run) { return run.read_gbs; });
}
double BenchResult::dot_gops() const {
  return median_of(runs, [](const BenchRun& run) { return run.dot_gops; });
}
double BenchResult::other_load() const {
  return median_of(runs, [](const BenchRun& run) { return run.other_load; });
}

}  // namespace qwen
