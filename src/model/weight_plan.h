// What loading makes of a model's weights, and what that takes in memory, before it does.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "model/model_config.h"
#include "model/packed_cache.h"
#include "model/weight_formats.h"
#include "model/weight_stack.h"
#include "weights/checkpoint.h"

namespace qwen {

class WeightPlan {
 public:
  // Reads headers only. References outlive the plan. Errors: as WeightStack's.
  WeightPlan(const Checkpoint& checkpoint, const ModelConfig& config, const WeightFormats& formats);

  // Of all matrices as the backend will keep them, to the byte. Those that the cache has found are not looked at; of
  // others that hold GPTQ's or AWQ's integers zero points and group indices are read. Errors: kBadData naming the
  // tensor.
  uint64_t matrix_bytes(const Backend& backend, const PackedCache* cache = nullptr);
  int64_t num_weights() const { return num_weights_; }  // in them

  WeightStack* find(const std::string& name);  // null: none of the model's

 private:
  struct Planned {
    WeightStack stack;
    QuantFormat asked;
  };
  std::map<std::string, Planned> stacks_;
  int64_t num_weights_ = 0;
};

// Of the norms and biases, which are kept in f32.
uint64_t vector_bytes(const ModelConfig& config);

// Of the matrices of a model whose weights are not there: quantized ones are what Backend::expected_format takes them
// for.
uint64_t expected_matrix_bytes(const ModelConfig& config, const Backend& backend, const WeightFormats& formats);

}  // namespace qwen
