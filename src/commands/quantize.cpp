// `quantize`: a folder of plain weights → a folder of quantized ones that serves as it is.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>

#include "base/cpu_count.h"
#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "commands/calibration.h"
#include "commands/commands.h"
#include "commands/config_flags.h"
#include "commands/format_number.h"
#include "commands/gptq_report.h"
#include "commands/interrupts.h"
#include "model/gptq_folder.h"
#include "model/integer_folder.h"
#include "model/quantized_config.h"
#include "weights/model_folder_files.h"
#include "weights/model_folder_writer.h"

namespace qwen {
namespace {

namespace fs = std::filesystem;

constexpr std::array kGptqFlags = {"--bits",
                                   "--group-size",
                                   "--asymmetric",
                                   "--act-order",
                                   "--damp-percent",
                                   "--calibration",
                                   "--calibration-sequences",
                                   "--calibration-tokens",
                                   "--seed"};

struct Options {
  const CLI::App* command = nullptr;  // says which flags were given
  ConfigFlags flags;
  std::string format, output;
  bool force = false;
  GptqOptions gptq;
  bool asymmetric = false;
  CalibrationOptions calibration;
};

// Replacing a folder removes its files: neither the model that is read, nor anything that a file of it leads to.
void check_output(const fs::path& model, const fs::path& output, const std::string& calibration) {
  const auto check = [&](const fs::path& file) {
    if (leads_into(file, output))
      throw Error(ErrorCode::kUsage,
                  str("--output ", output.string(), ": ", file.string(), ", which is read, lies there; choose another"),
                  "--output");
  };
  check(model / ".");
  for (const fs::directory_entry& entry : fs::directory_iterator(model)) check(entry.path());
  if (!calibration.empty()) check(calibration);
}

ModelConfig plain_model(const std::string& folder) {
  ModelConfig config = ModelConfig::load(folder);
  if (!config.quantization.method.empty())
    throw Error(ErrorCode::kBadData, str(folder, ": holds ", stored_format_name(config.quantization),
                                         " weights, which cannot be quantized again; take the unquantized model"));
  return config;
}

// Everything that the formats share.
struct Job {
  const Options& options;
  const ServiceConfig& settings;
  const ModelConfig& config;
  const Checkpoint& checkpoint;
  ModelFolderWriter& writer;
  Interrupts& interrupts;

  // Ctrl-C ends the work as an error does, so that nothing is left of it.
  void poll() const {
    if (interrupts.take()) throw Error(ErrorCode::kFailed, "interrupted; nothing was written");
  }
  ProgressFn progress(ProgressBar& bar) const {
    return [this, &bar](uint64_t done, uint64_t total) {
      poll();
      bar.update(done, total);
    };
  }
  // The last steps wait for the disk: from here on Ctrl-C ends the process.
  void finish(const std::string& config_json) const {
    poll();
    interrupts.restore();
    writer.finish(config_json);
  }
};

void say_written(const ModelFolderWriter& writer, uint64_t before) {
  std::cout << writer.folder().string() << ": " << gibibytes(static_cast<double>(writer.weight_bytes()))
            << " of weights, before " << gibibytes(static_cast<double>(before)) << '\n';
}

void quantize_to_integers(const Job& job) {
  WeightFormats formats = weight_formats(job.options.format);
  if (job.settings.head_format == "none") formats.head = {};
  const auto backend = create_backend(backend_options(job.settings));
  {
    ProgressBar bar("quantizing", ProgressBar::Unit::kBytes);
    write_integer_folder(job.checkpoint, job.config, formats, *backend, job.writer, job.progress(bar));
  }
  job.finish(integer_config_json(job.settings.model_path, formats));
}

CalibrationOptions calibration_options(const Job& job) {
  CalibrationOptions options = job.options.calibration;
  const int64_t context = job.config.context_length();
  if (options.tokens <= context) return options;
  if (job.options.command->count("--calibration-tokens") > 0)
    throw Error(ErrorCode::kUsage,
                str("--calibration-tokens ", options.tokens, ": ", job.settings.model_path, " was made for ", context),
                "--calibration-tokens");
  options.tokens = static_cast<int>(context);
  return options;
}

void check_memory(const ModelConfig& config, Backend& backend, int64_t tokens) {
  const uint64_t needed = gptq_memory(config, backend, tokens), available = backend.free_memory();
  if (needed > available)
    throw Error(ErrorCode::kOs, str("calibrating on ", tokens, " tokens needs ", gibibytes(static_cast<double>(needed)),
                                    " but only ", gibibytes(static_cast<double>(available)),
                                    " are available; lower --calibration-sequences or --calibration-tokens"));
}

// Rounding moves its errors to where no token has been seen: fewer tokens than inputs look perfect and are not.
void warn_of_little_text(const ModelConfig& config, int64_t tokens) {
  const int64_t inputs = std::max(config.intermediate_size, config.hidden_size);
  if (tokens < inputs)
    log_warning("calibrating on ", tokens, " tokens, fewer than the ", inputs,
                " inputs of a layer: the errors below hold for these tokens and little else; give more text");
}

void quantize_by_gptq(const Job& job) {
  GptqOptions gptq = job.options.gptq;
  gptq.grid.symmetric = !job.options.asymmetric;
  const ServiceConfig& settings = job.settings;
  const std::string& folder = settings.model_path;
  const CalibrationOptions options = calibration_options(job);
  declare_gptq_folder(job.checkpoint, job.config, gptq, job.writer);
  const auto backend = create_backend(backend_options(settings));
  Calibration calibration;
  if (options.file.empty()) {
    check_memory(job.config, *backend, int64_t{options.sequences} * options.tokens);
    calibration = sample_calibration(folder, job.config, settings.chat_template, backend_options(settings), options,
                                     [&] { job.poll(); });
  } else {
    calibration = read_calibration(folder, job.config, settings.chat_template, options);
    check_memory(job.config, *backend, calibration.num_tokens());
  }
  const int threads = settings.threads > 0 ? settings.threads : usable_cores();
  std::vector<GptqModuleReport> modules;
  {
    ProgressBar bar("quantizing", ProgressBar::Unit::kNone);
    write_gptq_folder(
        job.checkpoint, job.config, gptq, calibration.sequences, *backend, threads, job.writer,
        [&](const GptqModuleReport& module) { modules.push_back(module); }, job.progress(bar));
  }
  const GptqRun run{gptq, options, std::string(backend->kernels())};
  job.writer.write_text("quantize_report.json", gptq_json(modules, run, calibration));
  job.finish(gptq_config_json(folder, gptq));
  warn_of_little_text(job.config, calibration.num_tokens());
  std::cout << gptq_table(modules);
}

// A flag that would do nothing is refused.
void check_flags(const Options& options, const ServiceConfig& settings) {
  const auto refuse = [](const std::string& flag, const std::string& reason) {
    throw Error(ErrorCode::kUsage, flag + reason, flag);
  };
  if (options.format == "gptq") {
    if (settings.head_format == "int8")
      refuse("--head-format", " int8: gptq keeps embedding and head as they are; serve the folder with this flag");
    if (!options.calibration.file.empty() && options.command->count("--seed") > 0)
      refuse("--seed", ": nothing is drawn with --calibration; leave one of them out");
    return;
  }
  for (const char* flag : kGptqFlags) {
    if (options.command->count(flag) == 0) continue;
    const bool groups_of_64 = std::string_view(flag) == "--group-size" && options.gptq.group_size == 64;
    refuse(flag, str(": belongs to --format gptq, not to ", options.format, "; ",
                     groups_of_64 ? "take --format int4-g64" : "leave it out"));
  }
}

int run_quantize(const Options& options) {
  const ServiceConfig settings = options.flags.resolve();
  check_flags(options, settings);
  const std::string& folder = settings.model_path;
  const ModelConfig config = plain_model(folder);
  check_output(folder, options.output, options.calibration.file);
  const Checkpoint checkpoint = Checkpoint::open(folder);
  Interrupts interrupts;
  ModelFolderWriter writer(options.output, options.force);
  for (const std::string& name : writer.copy_small_files(folder))
    log_warning(folder, "/", name, ": not copied, since it is too large or belongs to no model");
  const auto quantize = options.format == "gptq" ? quantize_by_gptq : quantize_to_integers;
  quantize({options, settings, config, checkpoint, writer, interrupts});
  say_written(writer, checkpoint.total_bytes());
  return 0;
}

void declare_gptq(CLI::App& command, Options& options) {
  GptqOptions& gptq = options.gptq;
  const auto option = [&](const char* name, auto& value, const char* help) {
    return command.add_option(name, value, help)->type_name("")->group("GPTQ")->capture_default_str();
  };
  option("--bits", gptq.grid.bits, "Of a weight: 4 or 8")->check(CLI::IsMember({4, 8}).description(""));
  option("--group-size", gptq.group_size, "Inputs that share a scale: 32, 64, 128; -1: all of an output's")
      ->check(CLI::IsMember({-1, 32, 64, 128}).description(""));
  command
      .add_flag("--asymmetric", options.asymmetric, "Groups with a zero point of their own, in GPTQ's second version")
      ->group("GPTQ");
  command
      .add_flag(
          "--act-order", gptq.hessian.act_order,
          "Round the inputs with the largest activations first; groups stay where they are, so that g_idx is in order")
      ->group("GPTQ");
  option("--damp-percent", gptq.hessian.damp_percent,
         "Share of the mean diagonal that is added to the Hessian, below 1; tenfold where that is not enough")
      ->check(
          [](const std::string& value) {
            double share = 0;
            return CLI::detail::lexical_cast(value, share) && share >= 1e-6 && share < 1
                       ? std::string()
                       : value + " is not at least 0.000001 and below 1";
          },
          "");
  CalibrationOptions& calibration = options.calibration;
  option("--calibration", calibration.file,
         "Text, or .jsonl with \"text\", \"messages\" or \"ids\" a line; default: what the model itself says");
  option("--calibration-sequences", calibration.sequences, "How many token sequences, at most")
      ->check(CLI::Range(1, 4096).description(""));
  option("--calibration-tokens", calibration.tokens,
         "Tokens of each, at most; the default no more than the model was made for")
      ->check(CLI::Range(2, 32768).description(""));
  option("--seed", calibration.seed, "Of the text that the model itself says");
}

}  // namespace

void add_quantize(CLI::App& app, CommandRun& run) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("quantize", "A model folder with int8, int4 or GPTQ weights, which serves as it is");
  options->command = command;
  options->flags.declare(*command, {"model", "head-format", "chat-template", "device", "kernels", "threads"});
  command->add_option("--format", options->format, "int8, int4 (groups of 128 inputs), int4-g64; gptq: calibrated")
      ->required()
      ->type_name("")
      ->check(CLI::IsMember({"int8", "int4", "int4-g64", "gptq"}).description(""));
  command->add_option("-o,--output", options->output, "Folder to write; it appears when it is complete")
      ->required()
      ->type_name("");
  command->add_flag("--force", options->force, "Replace the model folder that is there, if it holds nothing else");
  declare_gptq(*command, *options);
  command->callback([options, &run] { run = [options] { return run_quantize(*options); }; });
}

}  // namespace qwen
