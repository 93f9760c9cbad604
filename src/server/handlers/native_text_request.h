// What a /generate request, or one prompt of a batch, asks the service for: its sampling defaults, its cap on length
// and its deadline are those of the configuration.
#pragma once

#include "server/api/native_types.h"
#include "server/generation_service.h"
#include "server/http/request.h"
#include "server/service_config.h"

namespace qwen {

TextRequest native_text_request(const GenerateRequest& generate, const std::string& prompt, const ServiceConfig& config,
                                const LoadedModel& model, const Request& in);

}  // namespace qwen
