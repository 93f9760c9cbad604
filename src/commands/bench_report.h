// What `bench` prints: a table for people, one JSON object for programs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backend/cpu/machine_probe.h"
#include "commands/bench_result.h"

namespace qwen {

struct BenchReport {
  std::string model, device, kernels, format, kv_cache_dtype;
  std::string cpu, date;  // which machine, and when (UTC, ISO 8601)
  int threads = 0;
  int64_t parameters = 0;
  int64_t weight_bytes = 0;  // that a step reads
  int64_t kv_bytes_per_token = 0;
  double load_seconds = 0;
  int64_t peak_resident_bytes = 0;  // of loading and one step of the most tokens; 0 = unknown
  double small_page_read_gbs = 0;   // read bandwidth through 4 KiB pages; the tests' own is through huge ones
  std::vector<BenchResult> results;
};

std::string bench_table(const BenchReport& report);
// One line: what describes the run, then "prefill", "decode" and "batch", each a list of tests with "tokens", "depth"
// or "size", "tokens_per_second", "ceiling" (the same unit), "share" and their runs.
std::string bench_json(const BenchReport& report);
std::string probe_json(const MachineCeilings& ceilings, double small_page_read_gbs, int threads);

}  // namespace qwen
