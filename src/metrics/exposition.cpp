#include "metrics/exposition.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <unordered_map>
#include <vector>

namespace qwen {
namespace {

enum class Join { kSum, kEachWorker, kEachProcess, kAnyWorker, kSupervisor };

struct Rule {
  std::string_view name;
  Join join;
};
// Of gauges; all others are kEachWorker.
constexpr std::array kGauges = {
    Rule{"qwen_requests_running", Join::kSum},
    Rule{"qwen_requests_waiting", Join::kSum},
    Rule{"qwen_kv_blocks", Join::kSum},
    Rule{"qwen_connections_open", Join::kSum},
    Rule{"qwen_streams_open", Join::kSum},
    Rule{"cpu_usage_percent", Join::kSum},
    Rule{"qwen_model_info", Join::kAnyWorker},
    Rule{"qwen_build_info", Join::kSupervisor},
    Rule{"qwen_state", Join::kSupervisor},
    Rule{"qwen_workers", Join::kSupervisor},
    Rule{"memory_usage_percent", Join::kSupervisor},
};

Join rule_of(std::string_view name, bool gauge) {
  if (!gauge) return Join::kSum;
  const auto* rule = std::find_if(kGauges.begin(), kGauges.end(), [&](const Rule& one) { return one.name == name; });
  if (rule != kGauges.end()) return rule->join;
  return name.rfind("process_", 0) == 0 ? Join::kEachProcess : Join::kEachWorker;
}

struct Family {
  std::string_view name, help, type;  // whole lines, but for the name
  Join join = Join::kSum;
  bool gauge = false;
  std::vector<std::pair<std::string, double>> series;
  std::unordered_map<std::string, size_t> places;  // in `series`
};

std::string_view word(std::string_view text, size_t number) {
  for (; number > 0; --number) text.remove_prefix(std::min(text.find(' '), text.size() - 1) + 1);
  return text.substr(0, text.find(' '));
}

bool parse_value(std::string_view text, double& value) {
  if (text.rfind('+', 0) == 0) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

std::string value_text(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  constexpr double kExact = 9007199254740992.0;  // 2^53
  char text[40];
  char* end = std::fabs(value) < kExact && value == std::floor(value)
                  ? std::to_chars(text, text + sizeof text, static_cast<int64_t>(value)).ptr
                  : std::to_chars(text, text + sizeof text, value).ptr;
  return {text, end};
}

std::string with_worker(std::string_view series, const std::string& worker) {
  const bool labelled = !series.empty() && series.back() == '}';
  std::string result(labelled ? series.substr(0, series.size() - 1) : series);
  return result.append(labelled ? "," : "{").append("worker=\"").append(worker).append("\"}");
}

class Joiner {
 public:
  void take(const Exposition& part) {
    Family* family = nullptr;
    std::string_view rest = part.text;
    while (!rest.empty()) {
      const size_t end = std::min(rest.find('\n'), rest.size());
      const std::string_view line = rest.substr(0, end);
      rest.remove_prefix(std::min(end + 1, rest.size()));
      if (line.rfind("# ", 0) == 0)
        family = note(line);
      else if (family != nullptr)
        add(*family, line, part);
    }
  }

  std::string text() const {
    std::string out;
    for (const Family& family : families_) {
      if (family.series.empty()) continue;
      if (!family.help.empty()) out.append(family.help) += '\n';
      if (!family.type.empty()) out.append(family.type) += '\n';
      for (const auto& [series, value] : family.series)
        out.append(series).append(" ").append(value_text(value)) += '\n';
    }
    return out;
  }

 private:
  // "# HELP name …", "# TYPE name gauge": the family that the lines from here on belong to.
  Family* note(std::string_view line) {
    const std::string_view kind = word(line, 1), name = word(line, 2);
    const auto [place, is_new] = by_name_.try_emplace(name, families_.size());
    if (is_new) families_.push_back({.name = name});
    Family& family = families_[place->second];
    if (kind == "HELP" && family.help.empty()) family.help = line;
    if (kind == "TYPE" && family.type.empty()) {
      family.type = line;
      family.gauge = word(line, 3) == "gauge";
      family.join = rule_of(name, family.gauge);
    }
    return &family;
  }

  static void add(Family& family, std::string_view line, const Exposition& part) {
    const size_t space = line.rfind(' ');
    double value = 0;
    if (space == std::string_view::npos || !parse_value(line.substr(space + 1), value)) return;
    const std::string_view series = line.substr(0, space);
    const bool supervisor = part.source == Exposition::Source::kSupervisor;
    if (family.gauge && part.source == Exposition::Source::kEnded) return;
    if (family.join == Join::kSupervisor ? !supervisor
                                         : supervisor && family.join != Join::kSum && family.join != Join::kEachProcess)
      return;
    const bool each = family.join == Join::kEachWorker || family.join == Join::kEachProcess;
    std::string key = each ? with_worker(series, part.worker) : std::string(series);
    const auto [place, is_new] = family.places.try_emplace(key, family.series.size());
    if (is_new)
      family.series.emplace_back(std::move(key), value);
    else if (family.join == Join::kSum)
      family.series[place->second].second += value;
  }

  std::vector<Family> families_;
  std::unordered_map<std::string_view, size_t> by_name_;
};

}  // namespace

std::string join_expositions(std::span<const Exposition> parts) {
  Joiner joiner;
  for (const Exposition& part : parts) joiner.take(part);
  return joiner.text();
}

}  // namespace qwen
