// Tensor names → backend memory: joins what the checkpoint says (bytes) with what the format says (meaning) and lets
// the backend repack. Pages of the file are given back after each tensor, so loading never holds the checkpoint twice.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "base/progress.h"
#include "model/model_config.h"
#include "model/packed_cache.h"
#include "model/weight_formats.h"
#include "model/weight_plan.h"
#include "weights/checkpoint.h"

namespace qwen {

class WeightLoader {
 public:
  // `total_bytes`: of the tensors that will be asked for; `progress` may be empty. What is in the cache, if there is
  // one, is not read from the checkpoint; what the plan has found out is not found out again. All references outlive
  // the loader.
  WeightLoader(const Checkpoint& checkpoint, const QuantizationConfig& quantization, const WeightFormats& formats,
               Backend& backend, uint64_t total_bytes, ProgressFn progress, PackedCache* cache = nullptr,
               WeightPlan* plan = nullptr);

  // The weights [out, cols] of linear modules ("model.layers.0.mlp.up_proj") that share an input, stacked along the
  // outputs. Errors: kBadData where one is absent, damaged or has other columns.
  Matrix matrix(const std::vector<std::string>& modules, int64_t cols);
  // The same for the embedding or the head, in their format.
  Matrix head(const std::string& module, int64_t cols);
  // Vectors (norm weights, biases) of `size` numbers together, one after the other, in f32.
  Tensor vector(std::initializer_list<std::string> names, int64_t size);

  Backend& backend() { return backend_; }

 private:
  Matrix load(std::span<const std::string> modules, int64_t cols, const QuantFormat& asked);
  Matrix prepare(WeightStack& stack, const QuantFormat& asked);
  void finish(std::span<const std::string> names);  // releases the pages, reports progress

  const Checkpoint& checkpoint_;
  const QuantizationConfig& quantization_;
  const WeightFormats formats_;
  Backend& backend_;
  uint64_t total_bytes_;
  uint64_t done_bytes_ = 0;
  ProgressFn progress_;
  PackedCache* const cache_;
  WeightPlan* const plan_;
};

}  // namespace qwen
