#include "commands/sampling_flags.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <limits>

#include "base/error.h"

namespace qwen {
namespace {

std::string seed_problem(const std::string& text) {
  uint64_t seed = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seed);
  if (error == std::errc() && end == text.data() + text.size()) return {};
  return "must be a whole number from 0 to 18446744073709551615";
}

std::string stop_problem(const std::string& text) {
  if (!text.empty() && text.size() <= kMaxStopBytes) return {};
  return str("must have 1 to ", kMaxStopBytes, " bytes");
}

}  // namespace

void SamplingFlags::declare(CLI::App& command, const std::string& defaults) {
  constexpr int kMost = std::numeric_limits<int>::max();
  const std::string group = "Sampling (" + defaults + ")";
  command.add_option("--max-length", max_length, "Most new tokens")
      ->check(CLI::Range(1, kMost).description(""))
      ->group(group);
  command.add_option("--temperature", fields.temperature, "0 = always the most likely token")
      ->check(CLI::Range(0.0, 2.0).description(""))
      ->group(group);
  command.add_option("--top-p", fields.top_p, "Keep the likeliest tokens that together reach this probability")
      ->check(CLI::Range(1e-6, 1.0).description(""))
      ->group(group);
  command.add_option("--top-k", fields.top_k, "Keep the k likeliest tokens; 0 = all")
      ->check(CLI::Range(0, kMost).description(""))
      ->group(group);
  command.add_option("--min-p", fields.min_p, "Drop tokens less likely than this share of the likeliest")
      ->check(CLI::Range(0.0, 1.0).description(""))
      ->group(group);
  command.add_option("--seed", fields.seed, "The same seed gives the same answer; default: random")
      ->check(CLI::Validator(seed_problem, "", "seed"))
      ->group(group);
  command.add_option("--stop", fields.stop, "Text that ends the answer, up to 4 times")
      ->expected(1)
      ->take_all()
      ->check(CLI::Validator(stop_problem, "", "stop"))
      ->group(group);
  command.parse_complete_callback([this] {
    if (fields.stop.size() > kMaxStopStrings)
      throw CLI::ValidationError("--stop", str("may be given ", kMaxStopStrings, " times at the most"));
  });
}

}  // namespace qwen
