// See load.h.
#include "commands/load.h"

#include <chrono>
#include <optional>
#include <utility>

#include "model/model_config.h"
#include "weights/checkpoint.h"

namespace qwen {

LoadedCausalLm load_model_folder(const std::string& folder, const BackendOptions& backend, const ModelOptions& options,
                                 const PackedCacheOptions& cache_options, ProgressFn progress) {
  const auto start = std::chrono::steady_clock::now();
  const ModelConfig config = ModelConfig::load(folder);
  std::unique_ptr<Backend> device = create_backend(backend);
  const Checkpoint checkpoint = Checkpoint::open(folder);
  std::optional<ProgressBar> bar;
  if (!progress) {
    bar.emplace("loading");
    progress = [&bar](uint64_t done, uint64_t total) { bar->update(done, total); };
  }
  LoadedCausalLm loaded;
  for (bool again = false;; again = true) {
    PackedCache cache(checkpoint, config.quantization, options.formats, *device, cache_options);
    loaded.model = load_model(checkpoint, config, std::move(device), options, progress, &cache);
    // Pages can be shared once they are in a file: whoever has just written it starts over as the others do.
    if (again || !cache.written() || cache_options.access == PackedAccess::kCopy) break;
    loaded.model.reset();
    device = create_backend(backend);
  }
  loaded.fingerprint = checkpoint.fingerprint();
  loaded.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return loaded;
}

}  // namespace qwen
