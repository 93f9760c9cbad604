// See fake_model.h.
#include "support/fake_model.h"

#include <algorithm>
#include <limits>
#include <thread>
#include <utility>

#include "base/error.h"
#include "support/fake_backend.h"

namespace qwen {

namespace {

// e^40 : 1 against every other token, whatever the temperature in use.
constexpr float kCertain = 40.0f;

}  // namespace

void FakeModelControl::set_next(NextToken next) {
  const std::lock_guard lock(mutex_);
  next_ = std::move(next);
}
void FakeModelControl::set_delay(std::chrono::milliseconds delay) {
  const std::lock_guard lock(mutex_);
  delay_ = delay;
}
void FakeModelControl::fail_steps(int first, int count) {
  const std::lock_guard lock(mutex_);
  first_failure_ = first;
  num_failures_ = count;
}
void FakeModelControl::poison_after(TokenId token) {
  const std::lock_guard lock(mutex_);
  poison_ = token;
}
void FakeModelControl::pause() {
  const std::lock_guard lock(mutex_);
  paused_ = true;
}
void FakeModelControl::resume() {
  const std::lock_guard lock(mutex_);
  paused_ = false;
  changed_.notify_all();
}
bool FakeModelControl::wait_until_paused(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, timeout, [this] { return waiting_; });
}
int FakeModelControl::steps() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int>(batch_sizes_.size());
}
std::vector<int> FakeModelControl::batch_sizes() const {
  const std::lock_guard lock(mutex_);
  return batch_sizes_;
}

FakeModel::FakeModel(const FakeModelOptions& options) : options_(options) {
  backend_ = std::make_unique<FakeBackend>(options.free_memory, kFakeKvBytesPerToken, kFakeBlockSize);
  config_.architecture = "Qwen3ForCausalLM";
  config_.model_type = "qwen3";
  config_.hidden_size = 16;
  config_.intermediate_size = 16;
  config_.num_hidden_layers = 1;
  config_.num_attention_heads = 1;
  config_.num_key_value_heads = 1;
  config_.head_dim = 16;
  config_.vocab_size = options.vocab_size;
  config_.max_position_embeddings = options.max_positions;
  logits_ = backend_->alloc(DType::kF32, {options.max_logit_rows, options.vocab_size});
}

const Tensor& FakeModel::forward(const BatchInput& batch, KvCache& cache) {
  FakeModelControl& control = *control_;
  FakeModelControl::NextToken next;
  TokenId poison;
  std::chrono::milliseconds delay;
  {
    std::unique_lock lock(control.mutex_);
    control.waiting_ = control.paused_;
    control.changed_.notify_all();
    control.changed_.wait(lock, [&] { return !control.paused_; });
    control.waiting_ = false;
    control.batch_sizes_.push_back(batch.num_seqs());
    const int step = static_cast<int>(control.batch_sizes_.size());
    if (step >= control.first_failure_ && step < control.first_failure_ + control.num_failures_) {
      throw Error(ErrorCode::kInternal, str("made to fail in step ", step));
    }
    next = control.next_;
    poison = control.poison_;
    delay = control.delay_;
  }
  if (delay.count() > 0) std::this_thread::sleep_for(delay);

  QWEN_CHECK(batch.num_tokens() <= options_.max_batched_tokens);
  QWEN_CHECK(batch.logit_rows.size() <= static_cast<size_t>(options_.max_logit_rows));
  const int block_size = cache.block_size();
  slots_.resize(static_cast<size_t>(cache.num_blocks()) * static_cast<size_t>(block_size), -1);
  for (size_t row = 0; row < batch.token_ids.size(); ++row) {
    slots_.at(static_cast<size_t>(batch.slot_mapping[row])) = batch.token_ids[row];
  }
  size_t logit_row = 0;
  for (int sequence = 0; sequence < batch.num_seqs(); ++sequence) {
    const size_t i = static_cast<size_t>(sequence);
    std::vector<TokenId> context;
    for (int position = 0; position < batch.context_lens[i]; ++position) {
      const size_t entry = i * static_cast<size_t>(batch.max_blocks) + static_cast<size_t>(position / block_size);
      context.push_back(
          slots_.at(static_cast<size_t>(batch.block_tables.at(entry) * block_size + position % block_size)));
    }
    for (int row = batch.query_start[i]; row < batch.query_start[i + 1]; ++row) {
      const int position = batch.positions[static_cast<size_t>(row)];
      QWEN_CHECK(context.at(static_cast<size_t>(position)) == batch.token_ids[static_cast<size_t>(row)]);
      if (logit_row >= batch.logit_rows.size() || batch.logit_rows[logit_row] != row) continue;
      const std::span<const TokenId> seen = std::span(context).first(static_cast<size_t>(position) + 1);
      float* logits = logits_.buffer.as<float>() + static_cast<ptrdiff_t>(logit_row) * options_.vocab_size;
      std::fill_n(logits, options_.vocab_size, 0.0f);
      const TokenId token = next ? next(seen) : (seen.back() + 1) % options_.vocab_size;
      logits[token] = seen.back() == poison ? std::numeric_limits<float>::quiet_NaN() : kCertain;
      ++logit_row;
    }
  }
  QWEN_CHECK(logit_row == batch.logit_rows.size());
  return logits_;
}

}  // namespace qwen
