// The one place that knows which architectures exist.
#pragma once

#include <memory>

#include "backend/backend.h"
#include "base/progress.h"
#include "model/causal_lm.h"
#include "model/model_config.h"
#include "model/packed_cache.h"
#include "model/weight_formats.h"
#include "weights/checkpoint.h"

namespace qwen {

struct ModelOptions {
  int max_batched_tokens = 512;  // tokens of one step
  int max_logit_rows = 16;       // rows of logits of one step
  int max_positions = 32768;     // longest sequence; cut to what the model was made for
  WeightFormats formats = {};    // plain weights are quantized while they are read
};

// What the model needs beside its KV cache: weights as the backend keeps them, to the byte; workspace and rotary
// tables, about.
struct ModelMemory {
  uint64_t weights = 0, workspace = 0;
  uint64_t total() const { return weights + workspace; }
};
ModelMemory model_memory(const Checkpoint& checkpoint, const ModelConfig& config, const Backend& backend,
                         const ModelOptions& options);
// The same without the weights: quantized ones are taken for those of the usual kind (Backend::expected_format).
ModelMemory expected_memory(const ModelConfig& config, const Backend& backend, const ModelOptions& options);

// Loads the model that config.json's "architectures" names. Errors: kBadData (another architecture, heads that the
// backend cannot compute, tensors that do not fit the configuration), kOs with the bytes needed and available, before
// anything is loaded. With a `cache` what was quantized before is taken from there, or kept there.
std::unique_ptr<CausalLm> load_model(const Checkpoint& checkpoint, const ModelConfig& config,
                                     std::unique_ptr<Backend> backend, const ModelOptions& options,
                                     ProgressFn progress = {}, PackedCache* cache = nullptr);

}  // namespace qwen
