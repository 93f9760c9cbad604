// `bench`: prefill, decode and batched decode of the forward pass, below the engine, with random token ids, each beside
// what the machine can do at that moment. Needs no tokenizer in the folder.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>
#include <string>

#include "base/cpu_count.h"
#include "base/error.h"
#include "commands/bench_machine.h"
#include "commands/bench_measure.h"
#include "commands/bench_quality.h"
#include "commands/bench_report.h"
#include "commands/bench_sizes.h"
#include "commands/commands.h"
#include "commands/config_flags.h"
#include "commands/format_number.h"
#include "commands/load.h"
#include "commands/weight_format.h"
#include "model/tensor_names.h"
#include "quant/integer_rows.h"
#include "quant/stored_groups.h"
#include "server/config.h"

namespace qwen {
namespace {

constexpr int kMostTokens = 1 << 18, kMostSequences = 256;

// Of --probe: far more memory than any cache.
constexpr double kProbeSeconds = 1.0;
constexpr size_t kProbeBytes = size_t{1} << 30;

struct Options {
  ConfigFlags flags;
  BenchOptions bench;
  std::string prefill = sizes_text(BenchOptions().prefill), decode = sizes_text(BenchOptions().decode),
              batch = sizes_text(BenchOptions().batch);
  int max_num_batched_tokens = 512;
  bool probe = false, json = false;
};

int64_t kv_bytes_per_token(CausalLm& model) {
  Backend& backend = model.backend();
  return static_cast<int64_t>(backend.kv_bytes_per_token(backend.kv_dtype(), model.config().heads())) *
         model.config().num_hidden_layers;
}

// The products that bound computing, whatever the folder's own name for its weights is.
ProbedDot dot_of(const WeightFormats& formats, const QuantFormat& stored) {
  return is_integer_kind(formats.linear) || has_stored_groups(stored) ? ProbedDot::kInt8 : ProbedDot::kFloat;
}

int run_probe(const ServiceConfig& config, bool json) {
  const int threads = config.threads > 0 ? config.threads : usable_cores();
  const MachineCeilings ceilings =
      probe_machine(config.kernels, threads, kProbeSeconds, kProbeBytes,
                    config.quantization_format == "none" ? ProbedDot::kFloat : ProbedDot::kInt8);
  const double small_pages = probe_small_page_reads(config.kernels, threads, kProbeSeconds, kProbeBytes);
  if (json)
    std::cout << probe_json(ceilings, small_pages, threads) << '\n';
  else
    std::cout << "read " << fixed(ceilings.read_gbs, 1) << " GB/s (" << fixed(small_pages, 1)
              << " through 4 KiB pages), dot products " << fixed(ceilings.dot_gflops, 0) << " Gop/s, " << threads
              << " threads\n";
  return 0;
}

int run_bench(Options options) {
  const ServiceConfig config = options.flags.resolve();
  if (options.probe) return run_probe(config, options.json);
  BenchOptions& bench_options = options.bench;
  bench_options.prefill = parse_sizes("--prefill", options.prefill, 1, kMostTokens);
  bench_options.decode = parse_sizes("--decode", options.decode, 0, kMostTokens);
  bench_options.batch = parse_sizes("--batch", options.batch, 1, kMostSequences);
  bench_options.threads = config.threads > 0 ? config.threads : usable_cores();
  const int longest = bench_options.longest_sequence(), sequences = bench_options.most_sequences();
  const ModelConfig model_config = ModelConfig::load(config.model_path);
  const ChosenFormat format = choose_format(config, model_config);
  if (longest > model_config.context_length())
    throw Error(ErrorCode::kUsage, str("--prefill, --decode: a test takes ", longest, " tokens but ", config.model_path,
                                       " was made for ", model_config.context_length(), "; ask for fewer"));
  const LoadedCausalLm loaded = load_model_folder(
      config.model_path, backend_options(config),
      {std::max(options.max_num_batched_tokens, sequences), sequences, longest, format.formats}, cache_options(config));
  CausalLm& model = *loaded.model;
  bench_options.dot = dot_of(format.formats, model_config.quantization.format);
  const int64_t weight_bytes = static_cast<int64_t>(model.weight_bytes()), kv_bytes = kv_bytes_per_token(model);
  Bench bench(model, bench_options, StepCost(model.config(), weight_bytes, kv_bytes));
  bench.warm_up();
  BenchReport report;
  report.model = config.model_path;
  report.device = model.backend().name();
  report.kernels = model.backend().kernels();
  report.format = format.name;
  report.cpu = cpu_model();
  report.date = utc_now();
  report.threads = bench_options.threads;
  report.parameters = parameter_count(model.config());
  report.weight_bytes = weight_bytes;
  report.kv_cache_dtype = dtype_name(model.backend().kv_dtype());
  report.kv_bytes_per_token = kv_bytes;
  report.load_seconds = loaded.seconds;
  report.peak_resident_bytes = peak_resident_bytes();  // the probes' own buffers do not count
  report.small_page_read_gbs = probe_small_page_reads(report.kernels, report.threads, kProbeSeconds, kProbeBytes);
  for (const int tokens : bench_options.prefill) report.results.push_back(bench.prefill(tokens));
  for (const int depth : bench_options.decode) report.results.push_back(bench.decode(depth));
  for (const int size : bench_options.batch) report.results.push_back(bench.batch(size));
  std::cout << (options.json ? bench_json(report) + "\n" : bench_table(report));
  return 0;
}

}  // namespace

void add_bench(CLI::App& app, CommandRun& run) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("bench", "Prefill and decode throughput beside the machine's ceilings");
  options->flags.declare(*command, {"model", "quantization", "head-format", "cache-dir", "weights", "device", "kernels",
                                    "threads", "kv-cache-dtype"});
  const auto sizes = [&](const char* flag, std::string& text, const char* help) {
    command->add_option(flag, text, help)->type_name("")->capture_default_str();
  };
  sizes("--prefill", options->prefill, "Tokens of the prompt, one test each; none: no such test");
  sizes("--decode", options->decode, "Tokens in the cache before decoding one sequence, one test each; none");
  sizes("--batch", options->batch, "Sequences decoding together, one test each; none");
  BenchOptions& bench = options->bench;
  command->add_option("--steps", bench.steps, "Steps of a decode run")
      ->check(CLI::Range(1, kMostTokens).description(""))
      ->capture_default_str();
  command->add_option("--runs", bench.runs, "Runs of each test; medians are shown")
      ->check(CLI::Range(1, 1000).description(""))
      ->capture_default_str();
  command
      ->add_option("--attempts", bench.attempts,
                   "Most attempts at a run while the machine's speed moves; 1: none is repeated")
      ->check(CLI::Range(1, 100).description(""))
      ->capture_default_str();
  command->add_option("--max-num-batched-tokens", options->max_num_batched_tokens, "Most tokens of one prefill step")
      ->check(CLI::Range(1, 8192).description(""))
      ->capture_default_str();
  command->add_flag("--probe", options->probe, "Only the machine's ceilings for the format; reads no model");
  command->add_flag("--json", options->json, "One JSON object");
  add_bench_quality(*command, run);
  command->callback([command, options, &run] {
    if (command->get_subcommands().empty()) run = [options] { return run_bench(*options); };
  });
}

}  // namespace qwen
