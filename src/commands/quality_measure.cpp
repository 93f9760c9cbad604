// See quality_measure.h.
#include "commands/quality_measure.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "commands/direct_runner.h"
#include "model/registry.h"
#include "model/tensor_names.h"
#include "model/weight_formats.h"

namespace qwen {
namespace {

constexpr int kChunk = 256;     // tokens of a step: a matrix is read once for so many
constexpr int kLogitRows = 64;  // rows of logits of a step: 152,000 floats each

bool simulated(std::string_view format) { return format == "q8_0" || format == "q4_0"; }

WeightFormats formats_of(std::string_view format) {
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
  double bytes = 0, weights = 0;
  for (const ExpectedTensor& tensor : expected_tensors(config)) {
    if (tensor.optional || tensor.shape.rank() != 2) continue;
    bytes += static_cast<double>(prepared_bytes(checkpoint, config, backend, tensor, formats));
    weights += static_cast<double>(tensor.shape.num_elements());
  }
  return 8 * bytes / weights;
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
  if (!simulated(format)) weight_formats(format);
}

std::unique_ptr<CausalLm> QualityMeasure::load(const std::string& format, int sequences, int length) const {
  std::unique_ptr<Backend> backend = format.empty()      ? create_backend(reference_backend_)
                                     : simulated(format) ? create_ggml_simulation(reference_backend_)
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
  reference_.clear();
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
