// `quantize`: a folder of plain weights → a folder of quantized ones that serves as it is.
#include <CLI/CLI.hpp>
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

struct Options {
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

// A bar that Ctrl-C ends, with what has been written.
class Progress {
 public:
  explicit Progress(ProgressBar::Unit unit) : bar_("quantizing", unit) {}
  ProgressFn function() {
    return [this](uint64_t done, uint64_t total) {
      if (interrupts_.take()) throw Error(ErrorCode::kFailed, "interrupted; nothing was written");
      bar_.update(done, total);
    };
  }

 private:
  Interrupts interrupts_;
  ProgressBar bar_;
};

void say_written(const ModelFolderWriter& writer, uint64_t before) {
  std::cout << writer.folder().string() << ": " << gibibytes(static_cast<double>(writer.weight_bytes()))
            << " of weights, before " << gibibytes(static_cast<double>(before)) << '\n';
}

void quantize_to_integers(const Options& options, const ServiceConfig& settings, const ModelConfig& config,
                          const Checkpoint& checkpoint, ModelFolderWriter& writer) {
  WeightFormats formats = weight_formats(options.format);
  if (settings.head_format == "none") formats.head = {};
  const auto backend = create_backend(backend_options(settings));
  {
    Progress progress(ProgressBar::Unit::kBytes);
    write_integer_folder(checkpoint, config, formats, *backend, writer, progress.function());
  }
  writer.finish(integer_config_json(settings.model_path, formats));
}

void quantize_by_gptq(const Options& options, const ServiceConfig& settings, const ModelConfig& config,
                      const Checkpoint& checkpoint, ModelFolderWriter& writer) {
  GptqOptions gptq = options.gptq;
  gptq.grid.symmetric = !options.asymmetric;
  const std::string& folder = settings.model_path;
  if (options.calibration.tokens > config.context_length())
    throw Error(ErrorCode::kUsage,
                str("--calibration-tokens ", options.calibration.tokens, ": ", folder, " was made for ",
                    config.context_length()),
                "--calibration-tokens");
  const Calibration calibration =
      options.calibration.file.empty()
          ? sample_calibration(folder, config, settings.chat_template, backend_options(settings), options.calibration)
          : read_calibration(folder, config, settings.chat_template, options.calibration);
  const auto backend = create_backend(backend_options(settings));
  const int threads = settings.threads > 0 ? settings.threads : usable_cores();
  std::vector<GptqModuleReport> modules;
  {
    Progress progress(ProgressBar::Unit::kNone);
    write_gptq_folder(
        checkpoint, config, gptq, calibration.sequences, *backend, threads, writer,
        [&](const GptqModuleReport& module) { modules.push_back(module); }, progress.function());
  }
  writer.write_text("quantize_report.json", gptq_json(modules, gptq, calibration));
  writer.finish(gptq_config_json(folder, gptq));
  std::cout << gptq_table(modules);
}

int run_quantize(const Options& options) {
  const ServiceConfig settings = options.flags.resolve();
  const std::string& folder = settings.model_path;
  const ModelConfig config = plain_model(folder);
  check_output(folder, options.output, options.calibration.file);
  const Checkpoint checkpoint = Checkpoint::open(folder);
  ModelFolderWriter writer(options.output, options.force);
  for (const std::string& name : writer.copy_small_files(folder))
    log_warning(folder, "/", name, ": not copied, since it is too large or belongs to no model");
  const auto quantize = options.format == "gptq" ? quantize_by_gptq : quantize_to_integers;
  quantize(options, settings, config, checkpoint, writer);
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
  command.add_flag("--asymmetric", options.asymmetric, "Groups with a zero point of their own")->group("GPTQ");
  command
      .add_flag(
          "--act-order", gptq.hessian.act_order,
          "Round the inputs with the largest activations first; groups stay where they are, so that g_idx is in order")
      ->group("GPTQ");
  option("--damp-percent", gptq.hessian.damp_percent,
         "Share of the mean diagonal that is added to the Hessian; tenfold where that is not enough")
      ->check(CLI::Range(1e-6, 1.0).description(""));
  CalibrationOptions& calibration = options.calibration;
  option("--calibration", calibration.file,
         "Text, or .jsonl with \"text\", \"messages\" or \"ids\" a line; default: what the model itself says");
  option("--calibration-sequences", calibration.sequences, "How many token sequences, at most")
      ->check(CLI::Range(1, 4096).description(""));
  option("--calibration-tokens", calibration.tokens, "Tokens of each, at most")
      ->check(CLI::Range(2, 32768).description(""));
  option("--seed", calibration.seed, "Of the text that the model itself says");
}

}  // namespace

void add_quantize(CLI::App& app, CommandRun& run) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("quantize", "A model folder with int8, int4 or GPTQ weights, which serves as it is");
  options->flags.declare(*command, {"model", "head-format", "chat-template", "device", "kernels", "threads"});
  command->add_option("--format", options->format, "int8, int4 (groups of 128 inputs), int4-g64; gptq: calibrated")
      ->required()
      ->type_name("")
      ->check(CLI::IsMember({"int8", "int4", "int4-g64", "gptq"}).description(""));
  command->add_option("-o,--output", options->output, "Folder to write; it appears when it is complete")
      ->required()
      ->type_name("");
  command->add_flag("--force", options->force, "Replace the model folder that is there");
  declare_gptq(*command, *options);
  command->callback([options, &run] { run = [options] { return run_quantize(*options); }; });
}

}  // namespace qwen
