// Writes the synthetic model of a configuration: config.json, generation_config.json and the weights as Hugging Face
// lays them out (one model.safetensors, or shards of at most 5 GB with an index).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/progress.h"

namespace qwen {

struct SyntheticModelOptions {
  uint64_t seed = 0;
  bool outliers = true;
  uint64_t max_shard_bytes = 5'000'000'000;
  int threads = 1;
};

struct WrittenModel {
  int64_t parameters = 0;
  uint64_t weight_bytes = 0;
  size_t weight_files = 0;
};

// `folder` is created; it must not hold anything yet. Throws kCannotCreate (not empty, not enough space, write failed)
// and kBadData for a bad configuration.
WrittenModel write_synthetic_model(const std::filesystem::path& folder, const std::string& config_json,
                                   const SyntheticModelOptions& options, const ProgressFn& progress);

}  // namespace qwen
