// A causal language model: token ids in, logits out. Created by model/registry.h from config.json's "architectures".
#pragma once

#include "backend/backend.h"
#include "model/batch_input.h"
#include "model/kv_cache.h"
#include "model/model_config.h"

namespace qwen {

class CausalLm {
 public:
  virtual ~CausalLm() = default;
  virtual const ModelConfig& config() const = 0;
  virtual Backend& backend() = 0;
  virtual int max_batched_tokens() const = 0;  // the workspace holds this many rows
  virtual int max_logit_rows() const = 0;
  virtual int max_positions() const = 0;       // the rotary tables hold this many
  // Logits [logit_rows, vocab_size] in f32, valid until the next call.
  virtual const Tensor& forward(const BatchInput& batch, KvCache& cache) = 0;
};

}  // namespace qwen
