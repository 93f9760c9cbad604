#include "commands/bench_report.h"

#include <sys/resource.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "commands/format_number.h"

namespace qwen {
namespace {

std::string cell(const std::string& text, size_t width) {
  return std::string(text.size() < width ? width - text.size() : 0, ' ') + text;
}

bool is_prefill(const BenchResult& result) { return result.kind == BenchResult::Kind::kPrefill; }

std::string name(const BenchResult& result) {
  if (is_prefill(result)) return "prefill " + std::to_string(result.tokens);
  return "decode " + std::to_string(result.tokens / result.batch) + ", batch " + std::to_string(result.batch);
}

}  // namespace

std::string bench_table(const BenchReport& report) {
  std::ostringstream out;
  out << report.model << ": " << grouped(report.parameters) << " parameters, " << report.device << ", kernels "
      << report.kernels << ", " << report.threads << " threads\n";
  out << "loaded in " << fixed(report.load_seconds, 2) << " s, peak resident memory "
      << gibibytes(static_cast<double>(report.peak_resident_bytes)) << ", " << grouped(report.depth)
      << " tokens in the cache before each run\n\n";
  out << "test                     tokens/s          rate    probed beside it   fraction\n";
  for (const BenchResult& result : report.results) {
    const char* unit = is_prefill(result) ? " GFLOP/s" : " GB/s";
    const std::string label = name(result);
    out << label << cell(fixed(result.tokens_per_second(), 1), label.size() < 33 ? 33 - label.size() : 1)
        << cell(fixed(result.rate(), 1) + unit, 18) << cell(fixed(result.peak(), 1) + unit, 18)
        << cell(fixed(result.fraction() * 100, 1) + " %", 9) << '\n';
  }
  out << "\nrate: decode, bytes of weights, keys and values read; prefill, multiplications and additions of the linear "
         "layers and\n"
         "attention. The probes, read bandwidth and dot products of the same instructions, run before and after each "
         "run.\n";
  const auto cached = [](const BenchResult& result) { return !is_prefill(result) && result.fraction() > 1.05; };
  if (std::any_of(report.results.begin(), report.results.end(), cached))
    out << "Above 100 %: what a step reads fits the processor's caches.\n";
  return out.str();
}

std::string bench_json(const BenchReport& report) {
  nlohmann::ordered_json out = {{"model", report.model},
                                {"parameters", report.parameters},
                                {"device", report.device},
                                {"kernels", report.kernels},
                                {"threads", report.threads},
                                {"depth", report.depth},
                                {"load_seconds", report.load_seconds},
                                {"peak_resident_bytes", report.peak_resident_bytes},
                                {"results", nlohmann::ordered_json::array()}};
  for (const BenchResult& result : report.results) {
    const bool prefill = is_prefill(result);
    nlohmann::ordered_json runs = nlohmann::ordered_json::array();
    for (const BenchRun& run : result.runs) runs.push_back({{"seconds", run.seconds}, {"probed", run.peak}});
    out["results"].push_back({{"test", prefill ? "prefill" : "decode"},
                              {"batch", result.batch},
                              {"tokens", result.tokens},
                              {"tokens_per_second", result.tokens_per_second()},
                              {"rate", result.rate()},
                              {"probed", result.peak()},
                              {"unit", prefill ? "GFLOP/s" : "GB/s"},
                              {"fraction", result.fraction()},
                              {"runs", runs}});
  }
  return out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

int64_t peak_resident_bytes() {
  rusage usage{};
  return ::getrusage(RUSAGE_SELF, &usage) == 0 ? int64_t{usage.ru_maxrss} * 1024 : 0;
}

}  // namespace qwen
