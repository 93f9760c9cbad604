// Executes a plan: flattens it into a BatchInput, runs the model, samples. Between launch() and collect() a device may
// still be computing.
#pragma once

#include <vector>

#include "engine/sampler.h"
#include "engine/scheduler.h"
#include "engine/scheduler_output.h"
#include "model/causal_lm.h"

namespace qwen {

class ModelRunner {
 public:
  ModelRunner(CausalLm& model, KvCache& cache, int num_valid_tokens);

  void launch(const SchedulerOutput& plan);
  // One entry per sequence of the launched plan with `samples`, in order. Advances their constraints.
  std::vector<SampledToken> collect();

 private:
  CausalLm& model_;
  KvCache& cache_;
  Sampler sampler_;
  BatchInput batch_;
  std::vector<Sequence*> sampling_;  // of the launched plan
  const Tensor* logits_ = nullptr;
  std::vector<float> host_logits_;
};

// The plan's new tokens as one flat batch.
void flatten(BatchInput& out, const SchedulerOutput& plan, int block_size);

}  // namespace qwen
