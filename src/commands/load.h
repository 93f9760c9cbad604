// A model folder brought into memory, for everything that computes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "backend/create.h"
#include "base/progress.h"
#include "model/causal_lm.h"
#include "model/registry.h"

namespace qwen {

struct LoadedCausalLm {
  std::unique_ptr<CausalLm> model;
  uint64_t fingerprint = 0;  // of the checkpoint
  double seconds = 0;
};

// Without `progress` a bar on stderr shows it. Errors: as ModelConfig::load, Checkpoint::open, create_backend and
// load_model.
LoadedCausalLm load_model_folder(const std::string& folder, const BackendOptions& backend, const ModelOptions& options,
                                 const PackedCacheOptions& cache, ProgressFn progress = {});

}  // namespace qwen
