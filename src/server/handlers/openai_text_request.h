// What the OpenAI routes have in common before the service is asked.
#pragma once

#include <string>

#include "server/api/sampling_fields.h"
#include "server/generation_service.h"
#include "server/http/request.h"
#include "server/service_config.h"

namespace qwen {

// Errors: kNotFound (model_not_found) where `asked` is neither empty nor the model's name.
void check_model_name(const std::string& asked, const ModelInfo& model);

// A request without its prompt: the checkpoint's own sampling defaults, the cap on length and the deadline of the
// configuration.
TextRequest openai_text_request(const SamplingFields& sampling, const std::vector<std::pair<TokenId, float>>& bias,
                                std::optional<int> max_tokens, const ServiceConfig& config, const LoadedModel& model,
                                const Request& in);

}  // namespace qwen
