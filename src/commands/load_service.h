// config → tokenizer and template → checkpoint → backend → model → engine: everything that generating text needs.
#pragma once

#include <cstdint>
#include <string>

#include "base/progress.h"
#include "model/registry.h"
#include "quant/format.h"
#include "server/generation_service.h"
#include "server/service_config.h"

namespace qwen {

// Reads the small files first, so that what is wrong with them is said at once. Errors: of every part, see load.h;
// wrong_setting for one that does not fit the model; kBadData where tokenizer and model do not belong together. What
// `progress` throws ends the loading.
LoadedModel load_service_model(const ServiceConfig& config, ProgressFn progress);

// What the settings make of the model's buffers.
ModelOptions model_options(const ServiceConfig& config, const ModelConfig& model, const WeightFormats& formats);

// What decides about the answers' bits, as 16 hex digits: `files`, the digest of weights and tokenizer, and in which
// formats and with which kernels they are computed. Of `info`, all but the fingerprint is read.
std::string system_fingerprint(uint64_t files, const ModelInfo& info, const QuantFormat& head);

// Loads with a progress bar and makes the service ready, for commands that wait for the model.
void load_and_wait(GenerationService& service, const ServiceConfig& config);

}  // namespace qwen
