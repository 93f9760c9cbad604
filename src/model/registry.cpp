// See registry.h.
#include "model/registry.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/quote.h"
#include "model/qwen3.h"
#include "model/tensor_names.h"
#include "model/weight_loader.h"
#include "model/weight_plan.h"

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

uint64_t workspace_bytes(const ModelConfig& config, const ModelOptions& options) {
  return Workspace::size_bytes(config, options.max_batched_tokens, options.max_logit_rows) +
         RopeTable::size_bytes(config, options.max_positions);
}

// Of a packed file, however its weights are stored: rows and columns are padded, entries begin on pages.
uint64_t most_file_bytes(const ModelConfig& config) {
  return 4 * static_cast<uint64_t>(parameter_count(config)) + (uint64_t{256} << 20);
}

}  // namespace

ModelMemory model_memory(const Checkpoint& checkpoint, const ModelConfig& config, const Backend& backend,
                         const ModelOptions& options) {
  WeightPlan plan(checkpoint, config, options.formats);
  return {plan.matrix_bytes(backend) + vector_bytes(config), workspace_bytes(config, options)};
}

ModelMemory expected_memory(const ModelConfig& config, const Backend& backend, const ModelOptions& options) {
  return {expected_matrix_bytes(config, backend, options.formats) + vector_bytes(config),
          workspace_bytes(config, options)};
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
  const bool maps = cache != nullptr && cache->maps();
  const uint64_t workspace = workspace_bytes(config, options);
  if (cache != nullptr) {
    const uint64_t most = most_file_bytes(config), free = backend->free_memory();
    cache->open(maps ? most : std::min(most, free - std::min(free, workspace)), progress);
  }
  WeightPlan plan(checkpoint, config, options.formats);
  const uint64_t weights = plan.matrix_bytes(*backend, cache) + vector_bytes(config);
  // What has been found is in memory already, or its pages are nobody's: another process in this control group may have
  // brought them there.
  const auto check = [&] {
    const uint64_t found = cache != nullptr ? std::min(weights, cache->found_bytes()) : 0;
    check_memory({weights - found, workspace}, backend->free_memory());
  };
  if (!maps) check();
  if (cache != nullptr && !cache->found()) cache->begin(weights, progress);
  if (maps) check();
  if (cache != nullptr && cache->found()) progress = {};  // it has heard of all that takes time
  Backend& device = *backend;
  WeightLoader loader(checkpoint, config.quantization, options.formats, device, bytes_to_read(checkpoint, config),
                      std::move(progress), cache, &plan);
  std::unique_ptr<CausalLm> model = architecture->create(loader, config, std::move(backend), options);
  if (cache != nullptr) cache->finish();
  return model;
}

}  // namespace qwen
