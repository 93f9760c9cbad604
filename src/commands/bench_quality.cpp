// `bench quality`: what each weight format and an int8 KV cache cost, as the distance of the logits from those of the
// plain weights, beside llama.cpp's formats simulated on the same tokens.
#include "commands/bench_quality.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/log.h"
#include "base/mapped_file.h"
#include "base/memory_usage.h"
#include "commands/bench_machine.h"
#include "commands/config_flags.h"
#include "commands/quality_measure.h"
#include "model/weight_formats.h"
#include "quant/integer_rows.h"
#include "text/tokenizer.h"

namespace qwen {
namespace {

constexpr size_t kMostTextBytes = size_t{64} << 20;
constexpr int kMostSequences = 256, kMostLength = 8192;
constexpr int kMostPositions = 8192;  // of all sequences: their logits are kept

struct Options {
  ConfigFlags flags;
  std::optional<std::string> formats;  // default: what fits the folder
  std::string reference_kernels, text;
  int sequences = 8, length = 64, layers = 0;
  uint64_t seed = 1;
  bool json = false;
};

// Folders of `quantize` have integers that are what they are; of those of others, some weights can still become int8.
std::string default_formats(const QuantizationConfig& stored, const std::string& reference_kernels) {
  const std::string own = is_integer_kind(stored.format) ? stored_format_name(stored) : "int8";
  return str("none,", stored.method.empty() ? "int8,int4,q8_0,q4_0" : own,
             computes_in_integers(reference_kernels) ? ",kv-int8" : "");
}

void check_formats(const std::vector<std::string>& formats, const QuantizationConfig& stored, const std::string& folder,
                   const std::string& reference_kernels) {
  if (stored.method.empty()) return;
  const std::string own = stored_format_name(stored);
  const bool integers = is_integer_kind(stored.format);
  for (const std::string& format : formats) {
    const bool simulated = format == "q8_0" || format == "q4_0";
    if (format == "none" || format == "kv-int8" || format == own || (!integers && !simulated)) continue;
    throw Error(ErrorCode::kUsage,
                str("--formats ", format, ": ", folder, " holds ", own,
                    simulated ? " weights, of which llama.cpp's formats are not simulated: use "
                              : " weights, which cannot be quantized again: use ",
                    default_formats(stored, reference_kernels)),
                "--formats");
  }
}

std::vector<std::string> parse_formats(const std::string& text) {
  std::vector<std::string> formats;
  for (size_t at = 0; at <= text.size();) {
    const size_t comma = std::min(text.find(',', at), text.size());
    formats.push_back(text.substr(at, comma - at));
    QualityMeasure::check_format(formats.back());
    at = comma + 1;
  }
  return formats;
}

bool has_tokenizer(const std::string& folder) {
  namespace fs = std::filesystem;
  return fs::exists(fs::path(folder) / "tokenizer.json") || fs::exists(fs::path(folder) / "merges.txt");
}

ModelConfig sliced_config(const std::string& folder, int layers) {
  ModelConfig config = ModelConfig::load(folder);
  if (layers == 0) return config;
  if (layers > config.num_hidden_layers)
    throw Error(ErrorCode::kUsage, str("--layers ", layers, ": ", folder, " has ", config.num_hidden_layers));
  config.num_hidden_layers = layers;
  set_log_level(LogLevel::kError);  // the other layers' tensors are not part of the slice, on purpose
  return config;
}

struct Tokens {
  TokenSequences sequences;
  std::string source;
};

Tokens choose_tokens(const Options& options, const std::string& folder, CausalLm& reference) {
  const int vocab_size = static_cast<int>(reference.config().vocab_size);
  if (!options.text.empty()) {
    const std::vector<TokenId> ids = Tokenizer::load(folder).encode(read_text_file(options.text, kMostTextBytes));
    Tokens tokens{cut_sequences(ids, options.sequences, options.length), options.text};
    if (tokens.sequences.empty())
      throw Error(ErrorCode::kUsage, str("--text ", options.text, ": too short; give two tokens at least"), "--text");
    for (const TokenId id : ids) {
      if (id >= vocab_size)
        throw Error(ErrorCode::kBadData,
                    str(folder, ": the tokenizer's id ", id, " is outside the vocabulary of ", vocab_size));
    }
    return tokens;
  }
  if (!has_tokenizer(folder))
    return {random_sequences(vocab_size, options.sequences, options.length, options.seed), "random token ids"};
  const Tokenizer tokenizer = Tokenizer::load(folder);
  const std::vector<TokenId> prompt = tokenizer.encode("<|im_start|>user\n");
  if (static_cast<int>(prompt.size()) >= options.length)
    throw Error(ErrorCode::kUsage,
                str("--length ", options.length, ": at least ", prompt.size() + 1, " with this model"));
  return {sample_sequences(reference, prompt, std::min(tokenizer.vocab_size(), vocab_size), options.sequences,
                           options.length, options.seed),
          "tokens that the model drew"};
}

int run_quality(const Options& options) {
  const ServiceConfig config = options.flags.resolve();
  const std::string reference_kernels = f32_kernels(options.reference_kernels);
  if (options.sequences * options.length > kMostPositions)
    throw Error(ErrorCode::kUsage, str("--sequences times --length is ", options.sequences * options.length,
                                       "; at most ", kMostPositions, " positions are compared"));
  QualityReport report;
  report.reference_kernels = reference_kernels;
  const ModelConfig model_config = sliced_config(config.model_path, options.layers);
  const QuantizationConfig& quantization = model_config.quantization;
  const std::vector<std::string> formats =
      parse_formats(options.formats.value_or(default_formats(quantization, reference_kernels)));
  check_formats(formats, quantization, config.model_path, reference_kernels);
  for (const std::string& format : formats) QualityMeasure::check_kernels(format, reference_kernels);
  if (options.length > model_config.context_length())
    throw Error(ErrorCode::kUsage, str("--length ", options.length, ": ", config.model_path, " was made for ",
                                       model_config.context_length()));
  for (const std::string& format : formats) QualityMeasure::check_format(format, model_config);
  if (options.text.empty())  // a text may be shorter
    QualityMeasure::check_positions(static_cast<uint64_t>(options.sequences) * static_cast<uint64_t>(options.length),
                                    static_cast<uint64_t>(model_config.vocab_size),
                                    read_memory_usage().available_bytes);
  report.model = config.model_path;
  report.cpu = cpu_model();
  report.date = utc_now();
  report.layers = static_cast<int>(model_config.num_hidden_layers);
  QualityMeasure measure(config.model_path, model_config, backend_options(config), report.reference_kernels);
  {
    const std::unique_ptr<CausalLm> reference = measure.load_reference(options.sequences, options.length);
    Tokens tokens = choose_tokens(options, config.model_path, *reference);
    report.text = tokens.source;
    report.sequences = static_cast<int>(tokens.sequences.size());
    measure.keep_reference(*reference, std::move(tokens.sequences));
  }
  for (const std::string& format : formats) report.formats.push_back(measure.measure(format));
  std::cout << (options.json ? quality_json(report) + "\n" : quality_table(report));
  return 0;
}

}  // namespace

void add_bench_quality(CLI::App& bench, CommandRun& run) {
  auto options = std::make_shared<Options>();
  CLI::App* command = bench.add_subcommand("quality", "Distance of quantized logits from those of the plain weights");
  options->flags.declare(*command, {"model", "device", "kernels", "threads"});
  command
      ->add_option("--formats", options->formats,
                   "none, int8, int4, int4-g64; q8_0 and q4_0: llama.cpp's, simulated; kv-int8: only the KV cache; "
                   "default: what fits the folder and the reference's kernels")
      ->type_name("");
  command
      ->add_option(
          "--text", options->text,
          "A file whose text is read; default: tokens that the model draws, or random ones without a tokenizer")
      ->type_name("");
  command->add_option("--sequences", options->sequences, "How many token sequences, at most")
      ->check(CLI::Range(1, kMostSequences).description(""))
      ->capture_default_str();
  command->add_option("--length", options->length, "Tokens of each, at most")
      ->check(CLI::Range(2, kMostLength).description(""))
      ->capture_default_str();
  command->add_option("--layers", options->layers, "Only the first layers, at full width; 0: all")
      ->check(CLI::Range(0, 1024).description(""))
      ->capture_default_str();
  command->add_option("--seed", options->seed, "Of the tokens")->capture_default_str();
  command
      ->add_option("--reference-kernels", options->reference_kernels,
                   "Of the reference and the simulations; they must leave activations in f32, as reference does")
      ->type_name("");
  command->add_flag("--json", options->json, "One JSON object");
  command->callback([options, &run] { run = [options] { return run_quality(*options); }; });
}

}  // namespace qwen
