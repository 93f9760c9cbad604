// A causal language model: token ids in, logits out. Created by model/registry.h from config.json's "architectures".
#pragma once

#include <functional>
#include <utility>

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
  virtual size_t weight_bytes() const = 0;     // of the matrices that a step reads whole: all layers and the head
  virtual int max_batched_tokens() const = 0;  // the workspace holds this many rows
  virtual int max_logit_rows() const = 0;
  virtual int max_positions() const = 0;  // the rotary tables hold this many
  // Logits [logit_rows, vocab_size] in f32, valid until the next call.
  virtual const Tensor& forward(const BatchInput& batch, KvCache& cache) = 0;

  // Called after every layer of a forward pass, on its thread: a long step can be told from a stalled one.
  void set_on_progress(std::function<void()> on_progress) { on_progress_ = std::move(on_progress); }

 protected:
  void report_progress() const {
    if (on_progress_) on_progress_();
  }

 private:
  std::function<void()> on_progress_;
};

}  // namespace qwen
