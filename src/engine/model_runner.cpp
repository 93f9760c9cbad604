// See model_runner.h.
#include "engine/model_runner.h"

#include <algorithm>
#include <exception>

#include "base/error.h"

namespace qwen {

ModelRunner::ModelRunner(CausalLm& model, KvCache& cache, int num_valid_tokens)
    : model_(model), cache_(cache), sampler_(num_valid_tokens) {}

void ModelRunner::launch(const SchedulerOutput& plan) {
  flatten(batch_, plan, cache_.block_size());
  sampling_.clear();
  for (const ScheduledSequence& scheduled : plan.sequences) {
    if (scheduled.samples) sampling_.push_back(scheduled.sequence);
  }
  logits_ = &model_.forward(batch_, cache_);
}

std::vector<SampledToken> ModelRunner::collect() {
  QWEN_CHECK(logits_ != nullptr);
  std::vector<SampledToken> sampled;
  if (sampling_.empty()) return sampled;
  sampled.reserve(sampling_.size());
  const std::span<const float> all =
      model_.backend().read_f32(*logits_, static_cast<int>(sampling_.size()), host_logits_);
  const size_t vocab_size = all.size() / sampling_.size();
  for (size_t i = 0; i < sampling_.size(); ++i) {
    // A constraint that throws ends its own request only.
    try {
      SampledToken token = sampler_.sample(all.subspan(i * vocab_size, vocab_size), *sampling_[i]);
      if (token.error.empty() && sampling_[i]->constraint() != nullptr) sampling_[i]->constraint()->advance(token.id);
      sampled.push_back(std::move(token));
    } catch (const std::exception& error) {
      sampled.push_back({-1, 0, str("choosing the next token failed: ", error.what())});
    }
  }
  return sampled;
}

void flatten(BatchInput& out, const SchedulerOutput& plan, int block_size) {
  const size_t num_seqs = plan.sequences.size();
  out.token_ids.clear();
  out.positions.clear();
  out.slot_mapping.clear();
  out.context_lens.clear();
  out.logit_rows.clear();
  out.query_start.assign(1, 0);
  out.max_blocks = 0;
  for (const ScheduledSequence& scheduled : plan.sequences) {
    const int context_len = scheduled.sequence->num_computed_tokens() + scheduled.num_new_tokens;
    out.max_blocks = std::max(out.max_blocks, (context_len + block_size - 1) / block_size);
  }
  out.block_tables.assign(num_seqs * static_cast<size_t>(out.max_blocks), 0);
  for (size_t i = 0; i < num_seqs; ++i) {
    const Sequence& sequence = *plan.sequences[i].sequence;
    const std::vector<int32_t>& table = sequence.block_table;
    const int begin = sequence.num_computed_tokens();
    const int end = begin + plan.sequences[i].num_new_tokens;
    for (int position = begin; position < end; ++position) {
      out.token_ids.push_back(sequence.token_ids()[static_cast<size_t>(position)]);
      out.positions.push_back(position);
      out.slot_mapping.push_back(table[static_cast<size_t>(position / block_size)] * block_size +
                                 position % block_size);
    }
    const size_t blocks = static_cast<size_t>((end + block_size - 1) / block_size);
    std::copy_n(table.begin(), blocks, out.block_tables.begin() + static_cast<ptrdiff_t>(i) * out.max_blocks);
    out.context_lens.push_back(end);
    out.query_start.push_back(out.num_tokens());
    if (plan.sequences[i].samples) out.logit_rows.push_back(out.num_tokens() - 1);
  }
}

}  // namespace qwen
