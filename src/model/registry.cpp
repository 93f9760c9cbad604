// See registry.h.
#include "model/registry.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/quote.h"
#include "model/linear_weight.h"
#include "model/qwen3.h"
#include "model/tensor_names.h"
#include "model/weight_loader.h"

namespace qwen {

namespace {

using Create = std::unique_ptr<CausalLm> (*)(WeightLoader&, const ModelConfig&, std::unique_ptr<Backend>,
                                             const ModelOptions&);

template <typename Model>
std::unique_ptr<CausalLm> create(WeightLoader& loader, const ModelConfig& config, std::unique_ptr<Backend> backend,
                                 const ModelOptions& options) {
  return std::make_unique<Model>(loader, config, std::move(backend), options);
}

struct Architecture {
  const char* name;
  Create create;
};
constexpr std::array<Architecture, 1> kArchitectures = {{{"Qwen3ForCausalLM", create<Qwen3Model>}}};

std::string gib(uint64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f GiB", static_cast<double>(bytes) / (1 << 30));
  return text;
}

void check_memory(const ModelMemory& needed, size_t available) {
  if (needed.total() <= available) return;
  throw Error(ErrorCode::kOs,
              str("the model needs at least ", gib(needed.total()), " of memory (weights ", gib(needed.weights),
                  ", workspace ", gib(needed.workspace), ") but only ", gib(available),
                  " are available; free memory, quantize the model (--quantization int8 or int4) or "
                  "choose a smaller one"));
}

// Of the tensors that the model reads.
uint64_t bytes_to_read(const Checkpoint& checkpoint, const ModelConfig& config) {
  uint64_t total = 0;
  for (const ExpectedTensor& expected : required_tensors(config)) {
    for (const std::string& name : stored_tensors(checkpoint, config, expected))
      if (const TensorInfo* info = checkpoint.find(name)) total += info->size_bytes;
  }
  return total;
}

}  // namespace

uint64_t prepared_bytes(const Checkpoint& checkpoint, const ModelConfig& config, const Backend& backend,
                        const ExpectedTensor& tensor, const WeightFormats& formats) {
  const TensorInfo* const stored = checkpoint.find(tensor.name);  // null: a quantized one, in parts
  const DType dtype = stored ? stored->dtype : DType::kF32;
  if (tensor.shape.rank() != 2) return backend.weight_bytes(1, tensor.shape[0], dtype, {});
  QuantFormat format = weight_format_of(tensor, formats);
  if (const LinearWeight weight(checkpoint, config.quantization, module_of(tensor)); weight.quantized()) {
    const HostMatrix matrix = weight.matrix();
    format = backend.prepared_format({&matrix, 1}, format);
    for (const std::string& name : weight.tensors()) checkpoint.release(name);
  }
  return backend.weight_bytes(tensor.shape[0], tensor.shape[1], dtype, format);
}

ModelMemory model_memory(const Checkpoint& checkpoint, const ModelConfig& config, const Backend& backend,
                         const ModelOptions& options) {
  uint64_t weights = 0;
  for (const ExpectedTensor& tensor : required_tensors(config))
    weights += prepared_bytes(checkpoint, config, backend, tensor, options.formats);
  return {weights, Workspace::size_bytes(config, options.max_batched_tokens, options.max_logit_rows) +
                       RopeTable::size_bytes(config, options.max_positions)};
}

std::unique_ptr<CausalLm> load_model(const Checkpoint& checkpoint, const ModelConfig& config,
                                     std::unique_ptr<Backend> backend, const ModelOptions& asked, ProgressFn progress,
                                     PackedCache* cache) {
  const auto architecture = std::find_if(kArchitectures.begin(), kArchitectures.end(),
                                         [&](const Architecture& known) { return known.name == config.architecture; });
  const auto refuse = [&](const std::string& field) {
    throw Error(ErrorCode::kBadData, str((checkpoint.directory() / "config.json").string(), ": ", field));
  };
  if (architecture == kArchitectures.end()) {
    refuse(str("architectures is [", quote(config.architecture), "]; allowed is [\"", kArchitectures[0].name,
               "\"], choose a model of that kind"));
  }
  if (const auto problem = backend->heads_problem(config.heads())) refuse(*problem);
  QWEN_CHECK(asked.max_batched_tokens > 0 && asked.max_logit_rows > 0 && asked.max_positions > 0);
  ModelOptions options = asked;
  options.max_positions = static_cast<int>(std::min<int64_t>(asked.max_positions, config.context_length()));
  check_tensors(checkpoint, config);
  const ModelMemory memory = model_memory(checkpoint, config, *backend, options);
  const bool maps = cache != nullptr && cache->maps();
  if (!maps) check_memory(memory, backend->free_memory());
  if (cache != nullptr) {
    cache->open(memory.weights, progress);
    // Pages of the file are nobody's memory: another process in this control group may have brought them there.
    if (maps)
      check_memory({memory.weights - std::min(memory.weights, cache->mapped_bytes()), memory.workspace},
                   backend->free_memory());
    if (cache->found()) progress = {};  // it has heard of all that takes time
  }
  Backend& device = *backend;
  WeightLoader loader(checkpoint, config.quantization, options.formats, device, bytes_to_read(checkpoint, config),
                      std::move(progress), cache);
  std::unique_ptr<CausalLm> model = architecture->create(loader, config, std::move(backend), options);
  if (cache != nullptr) cache->finish();
  return model;
}

}  // namespace qwen
