// What `bench` prints: a table for people, one JSON object for programs.
#pragma once

#include <string>
#include <vector>

#include "commands/bench_measure.h"
#include "model/model_config.h"

namespace qwen {

struct BenchReport {
  std::string model, device, kernels;
  int threads = 0;
  int depth = 0;
  int64_t parameters = 0;
  double load_seconds = 0;
  int64_t peak_resident_bytes = 0;  // of the process so far; 0 = unknown
  std::vector<BenchResult> results;
};

std::string bench_table(const BenchReport& report);
std::string bench_json(const BenchReport& report);  // one line

int64_t peak_resident_bytes();

}  // namespace qwen
