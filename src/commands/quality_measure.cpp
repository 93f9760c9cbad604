// See quality_measure.h.
#include "commands/quality_measure.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/memory_usage.h"
#include "commands/direct_runner.h"
#include "model/registry.h"
#include "model/tensor_names.h"
#include "model/weight_formats.h"
#include "model/weight_plan.h"
#include "quant/ggml_block.h"

namespace qwen {
namespace {

constexpr int kChunk = 256;     // tokens of a step: a matrix is read once for so many
constexpr int kLogitRows = 64;  // rows of logits of a step: 152,000 floats each

bool simulated(std::string_view format) { return format == "q8_0" || format == "q4_0"; }

constexpr std::string_view kInt8Cache = "kv-int8";

WeightFormats formats_of(std::string_view format) {
  if (format == kInt8Cache) return {};
  if (simulated(format)) return weight_formats(format == "q8_0" ? "int8" : "int4");
  return weight_formats(format);
}

// visit(row of logits) for every position of every sequence, in order.
template <typename Visit>
void for_each_row(CausalLm& model, const TokenSequences& sequences, const Visit& visit) {
  size_t longest = 0;
  for (const auto& sequence : sequences) longest = std::max(longest, sequence.size());
  DirectRunner runner(model, 1, static_cast<int>(longest));
  const size_t vocab_size = static_cast<size_t>(runner.vocab_size());
  for (const auto& sequence : sequences) {
    runner.truncate(0, 0);
    std::span<const TokenId> rest = sequence;
    while (!rest.empty()) {
      const size_t count = std::min(rest.size(), static_cast<size_t>(model.max_logit_rows()));
      const DirectRunner::Chunk chunk{0, rest.first(count), DirectRunner::Logits::kAll};
      const std::span<const float> rows = runner.step({&chunk, 1});
      for (size_t i = 0; i < count; ++i) visit(rows.subspan(i * vocab_size, vocab_size));
      rest = rest.subspan(count);
    }
  }
}

double bits_per_weight(const Checkpoint& checkpoint, const ModelConfig& config, const Backend& backend,
                       const WeightFormats& formats) {
  WeightPlan plan(checkpoint, config, formats);
  return 8 * static_cast<double>(plan.matrix_bytes(backend)) / static_cast<double>(plan.num_weights());
}

}  // namespace

QualityMeasure::QualityMeasure(const std::string& folder, ModelConfig config, BackendOptions backend,
                               std::string reference_kernels)
    : config_(std::move(config)),
      checkpoint_(Checkpoint::open(folder)),
      backend_(std::move(backend)),
      reference_backend_(backend_) {
  reference_backend_.device = "cpu";
  reference_backend_.kernels = std::move(reference_kernels);
}

void QualityMeasure::check_format(std::string_view format) {
  if (!simulated(format) && format != kInt8Cache) weight_formats(format);
}

void QualityMeasure::check_format(std::string_view format, const ModelConfig& config) {
  check_format(format);
  if (!simulated(format)) return;
  for (const ExpectedTensor& tensor : required_tensors(config)) {
    if (!tensor.linear || tensor.shape[1] % kGgmlBlock == 0) continue;
    throw Error(ErrorCode::kUsage,
                str("--formats: ", format, " needs input features in multiples of ", kGgmlBlock, ", but ", tensor.name,
                    " has ", tensor.shape[1], "; leave q8_0 and q4_0 out"),
                "--formats");
  }
}

void QualityMeasure::check_kernels(std::string_view format, const std::string& reference_kernels) {
  if (format != kInt8Cache || computes_in_integers(reference_kernels)) return;
  throw Error(ErrorCode::kUsage,
              str("--formats: ", format, " needs kernels that compute in integers, which ", reference_kernels,
                  " do not; leave ", format, " out or choose other --reference-kernels"),
              "--formats");
}

void QualityMeasure::check_positions(uint64_t positions, uint64_t vocab_size, uint64_t available) {
  const uint64_t row_bytes = vocab_size * sizeof(float);
  if (positions <= available / row_bytes) return;
  throw Error(ErrorCode::kUsage,
              str("--sequences times --length: the reference's logits at ", positions, " positions take ",
                  positions * row_bytes >> 20, " MiB, but only ", available >> 20,
                  " MiB of memory are available, which is "
                  "enough for ",
                  available / row_bytes, " positions: ask for fewer"),
              "--sequences");
}

std::unique_ptr<CausalLm> QualityMeasure::load(const std::string& format, int sequences, int length) const {
  BackendOptions int8_cache = reference_backend_;
  int8_cache.kv_cache_dtype = "int8";
  std::unique_ptr<Backend> backend = format.empty()         ? create_f32_backend(reference_backend_)
                                     : simulated(format)    ? create_ggml_simulation(reference_backend_)
                                     : format == kInt8Cache ? create_f32_backend(int8_cache)
                                                            : create_backend(backend_);
  const ModelOptions options{.max_batched_tokens = std::max(kChunk, sequences),
                             .max_logit_rows = std::max(kLogitRows, sequences),
                             .max_positions = length,
                             .formats = format.empty() ? WeightFormats{} : formats_of(format)};
  ProgressBar bar(format.empty() ? "reference" : format);
  return load_model(checkpoint_, config_, std::move(backend), options,
                    [&bar](uint64_t done, uint64_t total) { bar.update(done, total); });
}

std::unique_ptr<CausalLm> QualityMeasure::load_reference(int sequences, int length) const {
  return load("", sequences, length);
}

void QualityMeasure::keep_reference(CausalLm& reference, TokenSequences sequences) {
  sequences_ = std::move(sequences);
  size_t positions = 0;
  for (const auto& sequence : sequences_) positions += sequence.size();
  const auto vocab_size = static_cast<size_t>(config_.vocab_size);
  check_positions(positions, vocab_size, read_memory_usage().available_bytes);
  reference_.clear();
  reference_.reserve(positions * vocab_size);
  for_each_row(reference, sequences_,
               [&](std::span<const float> row) { reference_.insert(reference_.end(), row.begin(), row.end()); });
}

FormatQuality QualityMeasure::measure(const std::string& format) const {
  size_t longest = 1;
  for (const auto& sequence : sequences_) longest = std::max(longest, sequence.size());
  const std::unique_ptr<CausalLm> model = load(format, 1, static_cast<int>(longest));
  AgreementMeter meter;
  const float* reference = reference_.data();
  for_each_row(*model, sequences_, [&](std::span<const float> row) {
    meter.add({reference, row.size()}, row);
    reference += row.size();
  });
  return {.format = format,
          .kernels = std::string(simulated(format) ? model->backend().name() : model->backend().kernels()),
          .bits_per_weight = bits_per_weight(checkpoint_, config_, model->backend(), formats_of(format)),
          .agreement = meter.result()};
}

}  // namespace qwen
