// What a test of `bench` measured, and the bound that it is held against. A run's bound is the shortest time that the
// ceilings probed around that very run allow its work; shares are run by run, because on a shared machine bandwidth and
// clocks move within minutes.
#pragma once

#include <cstddef>
#include <vector>

namespace qwen {

// Of one run; 0 where it is not what bounds the test.
struct BenchWork {
  double bytes = 0;       // read from memory
  double operations = 0;  // multiplications and additions
};

// One timed run. Ceilings are the means of the probes before and after.
struct BenchRun {
  double seconds = 0;
  double read_gbs = 0;    // 10⁹ bytes per second
  double dot_gops = 0;    // 10⁹ operations per second, of the instruction that multiplies the weights
  double other_load = 0;  // share of the machine's time that other processes took meanwhile
  double drift = 0;       // by how much the bounds of the two probes differ: 0 … 1
};

// max(bytes ÷ bandwidth, operations ÷ dot-product peak); 0 where neither is known.
double bound_seconds(const BenchWork& work, const BenchRun& run);

// Two probes' bounds of the same work: 0 where they agree.
double bound_drift(const BenchWork& work, const BenchRun& before, const BenchRun& after);

// Whether the machine was one and the same around the run and this process had it to itself.
constexpr double kMostDrift = 0.1, kMostOtherLoad = 0.05;
bool is_steady(const BenchRun& run);

// `wanted` of the runs, steady ones before others, each kind in the order in which they were taken.
std::vector<BenchRun> steadiest(const std::vector<BenchRun>& runs, size_t wanted);

struct BenchResult {
  enum class Kind { kPrefill, kDecode, kBatch };
  Kind kind = Kind::kPrefill;
  int size = 0;    // tokens of the prompt, tokens in the cache, or sequences decoding together
  int tokens = 0;  // appended in one run, by all sequences
  BenchWork work;
  std::vector<BenchRun> runs;
  int attempts = 0;  // runs that were taken for these

  double tokens_per_second() const;  // medians over the runs …
  double best() const;               // … but this one
  double ceiling() const;            // tokens per second at the bound
  double share() const;              // of each run's own bound; 0 where it is unknown
  double read_gbs() const;
  double dot_gops() const;
  double other_load() const;
};

double median(std::vector<double> values);  // the mean of the middle two of an even number; 0 of none

}  // namespace qwen
