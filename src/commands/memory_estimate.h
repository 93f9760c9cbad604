// What serving a model takes in memory, in each format that it can be served in.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "model/model_config.h"
#include "server/service_config.h"
#include "weights/checkpoint.h"

namespace qwen {

struct FormatEstimate {
  std::string format;            // as QUANTIZATION_FORMAT spells it
  std::string head_format;       // of the embedding and the head, as HEAD_FORMAT spells it
  uint64_t weight_bytes = 0;     // to the byte what the backend keeps
  uint64_t workspace_bytes = 0;  // about
};

// A plain folder in three formats; a GPTQ or AWQ folder, whose integers stay as they are, with the other weights as
// they are and in int8; a folder of `quantize` as it is. `weights`: null where the folder has none, so that a quantized
// one is taken for one of the usual kind; else GPTQ's and AWQ's group indices, scales and zero points are read.
// Errors: as choose_format, and kBadData for weights that cannot be served.
std::vector<FormatEstimate> estimate_formats(const ServiceConfig& service, const ModelConfig& config,
                                             const Checkpoint* weights, const Backend& backend);

}  // namespace qwen
