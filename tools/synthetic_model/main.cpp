// synthetic_model: writes a model folder of any Qwen3 shape with weights from a hash, for benchmarks, load tests and
// kernels.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <map>
#include <thread>

#include "base/error.h"
#include "base/progress.h"
#include "synthetic_model/families.h"
#include "synthetic_model/model_writer.h"

namespace {

int run(int argc, char** argv) {
  using namespace qwen;
  CLI::App app("Writes a Qwen3 model folder with synthetic weights (no tokenizer).", "synthetic_model");
  std::string model, output;
  SyntheticModelOptions options;
  options.threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  ConfigChanges changes;
  bool no_outliers = false;
  app.add_option("--model", model, family_names() + ", or the path of a config.json")->required();
  app.add_option("--output", output, "folder to create")->required();
  app.add_option("--seed", options.seed, "equal seeds give equal weights")->capture_default_str();
  app.add_flag("--no-outliers", no_outliers, "no residual channels with 100 to 1,000 times the rest");
  const std::map<std::string, DType> dtypes = {{"bf16", DType::kBF16}, {"f16", DType::kF16}, {"f32", DType::kF32}};
  app.add_option("--dtype", changes.dtype, "bf16, f16 or f32 (default: as the configuration says)")
      ->transform(CLI::CheckedTransformer(dtypes));
  app.add_option("--layers", changes.num_hidden_layers, "another number of layers")->check(CLI::Range(1, 1024));
  app.add_option("--threads", options.threads)->check(CLI::Range(1, 1024));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : exit_status(ErrorCode::kUsage);
  }
  options.outliers = !no_outliers;

  const auto start = std::chrono::steady_clock::now();
  WrittenModel written;
  {
    ProgressBar bar("writing " + output);
    written = write_synthetic_model(output, config_json(model, changes), options,
                                    [&](uint64_t done, uint64_t total) { bar.update(done, total); });
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("%s: %lld parameters, %.2f GB in %zu file%s, %.1f s (%.0f million values/s)\n", output.c_str(),
              static_cast<long long>(written.parameters), static_cast<double>(written.weight_bytes) / 1e9,
              written.weight_files, written.weight_files == 1 ? "" : "s", seconds,
              static_cast<double>(written.parameters) / 1e6 / seconds);
  std::printf("It has no tokenizer: use it with `logits` and `bench`.\n");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const qwen::Error& error) {
    std::fprintf(stderr, "synthetic_model: %s\n", error.what());
    return qwen::exit_status(error.code());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "synthetic_model: %s\n", error.what());
    return 1;
  }
}
