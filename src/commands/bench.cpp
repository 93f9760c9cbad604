// `bench`: prefill and decode throughput of the forward pass, below the engine, with random token ids, beside what the
// machine can do at that moment. Needs no tokenizer in the folder.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>
#include <string>

#include "base/cpu_count.h"
#include "base/error.h"
#include "commands/bench_measure.h"
#include "commands/bench_report.h"
#include "commands/commands.h"
#include "commands/config_flags.h"
#include "commands/load.h"
#include "model/tensor_names.h"

namespace qwen {
namespace {

constexpr int kMaxTokens = 1 << 18;

struct Options {
  ConfigFlags flags;
  BenchOptions bench;
  int max_num_batched_tokens = 512;
  bool json = false;
};

StepCost step_cost(CausalLm& model) {
  Backend& backend = model.backend();
  const ModelConfig& config = model.config();
  const size_t kv_bytes =
      backend.kv_bytes_per_token(backend.kv_dtype(), config.heads()) * static_cast<size_t>(config.num_hidden_layers);
  return StepCost(config, static_cast<int>(backend.weight_element_size(config.dtype)), static_cast<int64_t>(kv_bytes));
}

int run_bench(Options options) {
  const ServiceConfig config = options.flags.resolve();
  const int longest = options.bench.depth + std::max(options.bench.prompt_tokens, options.bench.decode_tokens) + 16;
  const int most_sequences = *std::max_element(options.bench.batch.begin(), options.bench.batch.end());
  options.bench.threads = config.threads > 0 ? config.threads : usable_cores();
  const int batched = std::max(options.max_num_batched_tokens, most_sequences);
  const LoadedCausalLm loaded =
      load_model_folder(config.model_path, backend_options(config), {batched, most_sequences, longest});
  CausalLm& model = *loaded.model;
  if (longest > model.max_positions())
    throw Error(ErrorCode::kUsage,
                str("--depth: ", options.bench.depth, " and the tokens of a test are more than the ",
                    model.max_positions(), " positions of the model"),
                "--depth");
  Bench bench(model, options.bench, step_cost(model));
  BenchReport report{config.model_path,
                     std::string(model.backend().name()),
                     std::string(model.backend().kernels()),
                     options.bench.threads,
                     options.bench.depth,
                     parameter_count(model.config()),
                     loaded.seconds};
  bench.warm_up();
  report.peak_resident_bytes = peak_resident_bytes();  // the probes' own buffers do not count
  report.results.push_back(bench.prefill());
  for (const int batch : options.bench.batch) report.results.push_back(bench.decode(batch));
  std::cout << (options.json ? bench_json(report) + "\n" : bench_table(report));
  return 0;
}

}  // namespace

void add_bench(CLI::App& app, CommandRun& run) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("bench", "Prefill and decode throughput beside the machine's ceilings");
  options->flags.declare(*command, {"model", "device", "kernels", "threads"});
  BenchOptions& bench = options->bench;
  command->add_option("--prompt-tokens", bench.prompt_tokens, "Tokens of the prefill test")
      ->check(CLI::Range(1, kMaxTokens).description(""))
      ->capture_default_str();
  command->add_option("--decode-tokens", bench.decode_tokens, "Steps of a decode test")
      ->check(CLI::Range(1, kMaxTokens).description(""))
      ->capture_default_str();
  command->add_option("--depth", bench.depth, "Tokens in the cache before each test")
      ->check(CLI::Range(0, kMaxTokens).description(""))
      ->capture_default_str();
  command->add_option("--batch", bench.batch, "Sequences decoding together, one test each")
      ->delimiter(',')
      ->check(CLI::Range(1, 256).description(""))
      ->capture_default_str();
  command->add_option("--repeat", bench.repeat, "Runs of each test; medians are shown")
      ->check(CLI::Range(1, 100).description(""))
      ->capture_default_str();
  command->add_option("--max-num-batched-tokens", options->max_num_batched_tokens, "Most tokens of one prefill step")
      ->check(CLI::Range(1, 8192).description(""))
      ->capture_default_str();
  command->add_flag("--json", options->json, "One JSON object");
  command->callback([options, &run] { run = [options] { return run_bench(*options); }; });
}

}  // namespace qwen
