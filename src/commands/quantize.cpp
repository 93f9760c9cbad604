// `quantize`: a folder of plain weights → a folder of quantized ones that serves as it is.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/progress.h"
#include "commands/commands.h"
#include "commands/config_flags.h"
#include "commands/format_number.h"
#include "commands/interrupts.h"
#include "model/integer_folder.h"
#include "model/quantized_config.h"
#include "weights/model_folder_writer.h"

namespace qwen {
namespace {

namespace fs = std::filesystem;

struct Options {
  ConfigFlags flags;
  std::string format, output;
  bool force = false;
};

// Replacing a folder removes it: not the model that is read, nor what it lies in.
void check_output(const fs::path& model, const fs::path& output) {
  const fs::path from = fs::weakly_canonical(model), to = fs::weakly_canonical(output);
  for (fs::path part = from;; part = part.parent_path()) {
    if (part == to)
      throw Error(ErrorCode::kUsage, str("--output ", output.string(), ": the model itself lies there; choose another"),
                  "--output");
    if (part == part.parent_path()) return;
  }
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
  explicit Progress(const char* label) : bar_(label) {}
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

int run_quantize(const Options& options) {
  const ServiceConfig settings = options.flags.resolve();
  const std::string& folder = settings.model_path;
  WeightFormats formats = weight_formats(options.format);
  if (settings.head_format == "none") formats.head = {};
  const ModelConfig config = plain_model(folder);
  check_output(folder, options.output);
  const Checkpoint checkpoint = Checkpoint::open(folder);
  const auto backend = create_backend(backend_options(settings));
  ModelFolderWriter writer(options.output, options.force);
  writer.copy_small_files(folder);
  {
    Progress progress("quantizing");
    write_integer_folder(checkpoint, config, formats, *backend, writer, progress.function());
  }
  writer.finish(integer_config_json(folder, formats));
  say_written(writer, checkpoint.total_bytes());
  return 0;
}

}  // namespace

void add_quantize(CLI::App& app, CommandRun& run) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("quantize", "A model folder with int8 or int4 weights");
  options->flags.declare(*command, {"model", "head-format", "kernels", "threads"});
  command->add_option("--format", options->format, "int8, int4 (groups of 128 inputs) or int4-g64")
      ->required()
      ->type_name("")
      ->check(CLI::IsMember({"int8", "int4", "int4-g64"}).description(""));
  command->add_option("-o,--output", options->output, "Folder to write; it appears when it is complete")
      ->required()
      ->type_name("");
  command->add_flag("--force", options->force, "Replace the model folder that is there");
  command->callback([options, &run] { run = [options] { return run_quantize(*options); }; });
}

}  // namespace qwen
