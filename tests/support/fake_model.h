// A CausalLm without weights for tests of engine, service and HTTP: the next token is a function of the context, with
// certainty. It reads the context back through the block tables, as attention would, so wrong paging changes the
// answer. Every method may be called from any thread while an engine runs the model.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "base/token_id.h"
#include "model/causal_lm.h"

namespace qwen {

struct FakeModelOptions {
  int vocab_size = 64;
  int max_batched_tokens = 64;
  int max_logit_rows = 16;
  int max_positions = 4096;
  size_t free_memory = 1 << 20;  // a token's keys and values take kFakeKvBytesPerToken
};

inline constexpr size_t kFakeKvBytesPerToken = 4;
inline constexpr int kFakeBlockSize = 16;

// What a test and the model that an engine owns share: keep a copy of the pointer before giving the model away.
class FakeModelControl {
 public:
  using NextToken = std::function<TokenId(std::span<const TokenId> context)>;

  void set_next(NextToken next);                              // default: the last token + 1, modulo the vocabulary
  void set_delay(std::chrono::milliseconds delay);            // of every step
  void fail_steps(int first, int count);                      // forward() throws in these steps, counted from 1
  void poison_after(TokenId token);                           // NaN logits for contexts that end with it
  void pause();                                               // the next forward() waits …
  void resume();                                              // … until here
  bool wait_until_paused(std::chrono::milliseconds timeout);  // a forward() is waiting

  int steps() const;                     // forward() calls so far
  std::vector<int> batch_sizes() const;  // sequences of each step

 private:
  friend class FakeModel;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  NextToken next_;
  std::chrono::milliseconds delay_{0};
  int first_failure_ = 0, num_failures_ = 0;
  TokenId poison_ = -1;
  bool paused_ = false, waiting_ = false;
  std::vector<int> batch_sizes_;
};

class FakeModel : public CausalLm {
 public:
  explicit FakeModel(const FakeModelOptions& options = {});

  const std::shared_ptr<FakeModelControl>& control() const { return control_; }

  const ModelConfig& config() const override { return config_; }
  Backend& backend() override { return *backend_; }
  size_t weight_bytes() const override { return 0; }
  int max_batched_tokens() const override { return options_.max_batched_tokens; }
  int max_logit_rows() const override { return options_.max_logit_rows; }
  int max_positions() const override { return options_.max_positions; }
  const Tensor& forward(const BatchInput& batch, KvCache& cache) override;

 private:
  FakeModelOptions options_;
  ModelConfig config_;
  std::unique_ptr<Backend> backend_;
  std::shared_ptr<FakeModelControl> control_ = std::make_shared<FakeModelControl>();
  std::vector<TokenId> slots_;  // the token stored in each slot of the cache
  Tensor logits_;
};

}  // namespace qwen
