#include "commands/sampling_flags.h"

#include <CLI/CLI.hpp>
#include <limits>

namespace qwen {

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
  command.add_option("--seed", fields.seed, "The same seed gives the same answer; default: random")->group(group);
  command.add_option("--stop", fields.stop, "Text that ends the answer, up to 4 times")
      ->expected(1)
      ->take_all()
      ->group(group);
}

}  // namespace qwen
