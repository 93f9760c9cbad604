#include "commands/bench_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "commands/format_number.h"

namespace qwen {
namespace {

using Json = nlohmann::ordered_json;
using Kind = BenchResult::Kind;

std::string cell(const std::string& text, size_t width) {
  return std::string(text.size() < width ? width - text.size() : 0, ' ') + text;
}

std::string name(const BenchResult& result) {
  const std::string size = grouped(result.size);
  switch (result.kind) {
    case Kind::kPrefill:
      return "prefill, " + size + (result.size == 1 ? " token" : " tokens");
    case Kind::kDecode:
      return "decode, depth " + size;
    case Kind::kBatch:
      return "decode, batch of " + size;
  }
  return {};
}

Json tests(const BenchReport& report, Kind kind, const char* size) {
  Json out = Json::array();
  for (const BenchResult& result : report.results) {
    if (result.kind != kind) continue;
    Json runs = Json::array();
    for (const BenchRun& run : result.runs)
      runs.push_back({{"seconds", run.seconds},
                      {"read_gbs", run.read_gbs},
                      {"dot_gops", run.dot_gops},
                      {"other_load", run.other_load},
                      {"drift", run.drift}});
    out.push_back({{size, result.size},
                   {"tokens_per_second", result.tokens_per_second()},
                   {"best", result.best()},
                   {"ceiling", result.ceiling()},
                   {"share", result.share()},
                   {"read_gbs", result.read_gbs()},
                   {"dot_gops", result.dot_gops()},
                   {"other_load", result.other_load()},
                   {"attempts", result.attempts},
                   {"tokens_per_run", result.tokens},
                   {"bytes_per_run", result.work.bytes},
                   {"operations_per_run", result.work.operations},
                   {"runs", runs}});
  }
  return out;
}

std::string line(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace

std::string bench_table(const BenchReport& report) {
  std::ostringstream out;
  out << report.model << ": " << grouped(report.parameters) << " parameters, format " << report.format << ", "
      << report.device << ", kernels " << report.kernels << ", " << report.threads
      << (report.threads == 1 ? " thread" : " threads") << '\n'
      << report.cpu << ", " << report.date << '\n'
      << "keys and values in " << report.kv_cache_dtype << ", " << grouped(report.kv_bytes_per_token)
      << " bytes a token\n"
      << "loaded in " << fixed(report.load_seconds, 2) << " s, peak resident memory "
      << gibibytes(static_cast<double>(report.peak_resident_bytes)) << ", weights read by a step "
      << gibibytes(static_cast<double>(report.weight_bytes)) << '\n'
      << "read bandwidth through 4 KiB pages " << fixed(report.small_page_read_gbs, 1)
      << " GB/s; below, through huge ones\n\n"
      << "test                      tokens/s      best   ceiling   share     probed beside it\n";
  for (const BenchResult& result : report.results) {
    const std::string label = name(result);
    out << label << cell(fixed(result.tokens_per_second(), 2), label.size() < 34 ? 34 - label.size() : 1)
        << cell(fixed(result.best(), 2), 10) << cell(fixed(result.ceiling(), 2), 10)
        << cell(fixed(result.share() * 100, 1) + " %", 8) << cell(fixed(result.read_gbs(), 1) + " GB/s", 12)
        << cell(fixed(result.dot_gops(), 0) + " Gop/s", 12) << '\n';
  }
  out << "\nMedians. ceiling: prefill, the operations of linear layers and attention at the probed dot-product peak; "
         "decode, the bytes of\n"
         "weights, keys and values at the probed read bandwidth; batch, the slower of the two. The probes run before "
         "and after each run;\n"
         "a run between probes that differ, or beside other load, is repeated a few times.\n";
  const auto cached = [](const BenchResult& result) { return result.kind != Kind::kPrefill && result.share() > 1.05; };
  if (std::any_of(report.results.begin(), report.results.end(), cached))
    out << "Above 100 %: what a step reads fits the processor's caches.\n";
  double others = 0;
  for (const BenchResult& result : report.results) others = std::max(others, result.other_load());
  if (others > kMostOtherLoad)
    out << "Other processes took up to " << fixed(others * 100, 0)
        << " % of the machine: the figures are not its own.\n";
  return out.str();
}

std::string bench_json(const BenchReport& report) {
  return line({{"model", report.model},
               {"parameters", report.parameters},
               {"format", report.format},
               {"kv_cache_dtype", report.kv_cache_dtype},
               {"kv_bytes_per_token", report.kv_bytes_per_token},
               {"device", report.device},
               {"kernels", report.kernels},
               {"threads", report.threads},
               {"cpu", report.cpu},
               {"date", report.date},
               {"load_seconds", report.load_seconds},
               {"peak_resident_bytes", report.peak_resident_bytes},
               {"weight_bytes", report.weight_bytes},
               {"small_page_read_gbs", report.small_page_read_gbs},
               {"prefill", tests(report, Kind::kPrefill, "tokens")},
               {"decode", tests(report, Kind::kDecode, "depth")},
               {"batch", tests(report, Kind::kBatch, "size")}});
}

std::string probe_json(const MachineCeilings& ceilings, double small_page_read_gbs, int threads) {
  return line({{"threads", threads},
               {"read_gbs", ceilings.read_gbs},
               {"small_page_read_gbs", small_page_read_gbs},
               {"dot_gops", ceilings.dot_gflops}});
}

}  // namespace qwen
