// Logits of a model in several formats on the same tokens, one model in memory at a time; what is kept of the first,
// the reference, are its logits.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backend/create.h"
#include "commands/quality_report.h"
#include "commands/token_sequences.h"
#include "model/causal_lm.h"
#include "model/model_config.h"
#include "weights/checkpoint.h"

namespace qwen {

class QualityMeasure {
 public:
  // `config` may have fewer layers than the folder. Formats are computed on `backend`, the reference,
  // the simulations and kv-int8 on `reference_kernels`, which leave activations in f32.
  QualityMeasure(const std::string& folder, ModelConfig config, BackendOptions backend, std::string reference_kernels);

  // The plain weights, or what a folder's own integers stand for, with f32 activations; at most so many sequences and
  // positions.
  std::unique_ptr<CausalLm> load_reference(int sequences, int length) const;
  // Errors: kUsage where its logits do not fit in memory.
  void keep_reference(CausalLm& reference, TokenSequences sequences);

  // `format`: a name of weight_formats(), q8_0, q4_0, or kv-int8: the reference with its keys and values in int8.
  // Errors: kUsage for another; as load_model.
  FormatQuality measure(const std::string& format) const;

  // Errors: kUsage where measure() would not take it, for any model or for one of this shape.
  static void check_format(std::string_view format);
  static void check_format(std::string_view format, const ModelConfig& config);

  // Errors: kUsage for kv-int8 on kernels that would multiply an int8 cache as f32, which is not what is served.
  static void check_kernels(std::string_view format, const std::string& reference_kernels);

  // Whether that many rows of logits can be kept in `available` bytes. Errors: kUsage saying how many can.
  static void check_positions(uint64_t positions, uint64_t vocab_size, uint64_t available);

 private:
  std::unique_ptr<CausalLm> load(const std::string& format, int sequences, int length) const;

  ModelConfig config_;
  Checkpoint checkpoint_;
  BackendOptions backend_, reference_backend_;
  TokenSequences sequences_;
  std::vector<float> reference_;  // [positions, vocab_size]
};

}  // namespace qwen
