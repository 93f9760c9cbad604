// See memory_estimate.h.
#include "commands/memory_estimate.h"

#include <string_view>

#include "commands/load_service.h"
#include "commands/weight_format.h"
#include "model/registry.h"
#include "model/weight_formats.h"
#include "quant/integer_rows.h"
#include "quant/stored_groups.h"

namespace qwen {
namespace {

std::vector<std::string_view> formats_of(const QuantFormat& stored) {
  if (is_integer_kind(stored)) return {"none"};
  if (has_stored_groups(stored)) return {"none", "int8"};  // all others are the same as int8
  return {"none", "int8", "int4"};
}

}  // namespace

std::vector<FormatEstimate> estimate_formats(const ServiceConfig& service, const ModelConfig& config,
                                             const Checkpoint* weights, const Backend& backend) {
  std::vector<FormatEstimate> estimates;
  for (const std::string_view name : formats_of(config.quantization.format)) {
    ServiceConfig asked = service;
    asked.quantization_format = name;
    const ModelOptions options = model_options(asked, config, choose_format(asked, config).formats);
    const ModelMemory memory = weights != nullptr ? model_memory(*weights, config, backend, options)
                                                  : expected_memory(config, backend, options);
    estimates.push_back(
        {std::string(name), weight_format_name(options.formats.head), memory.weights, memory.workspace});
  }
  return estimates;
}

}  // namespace qwen
