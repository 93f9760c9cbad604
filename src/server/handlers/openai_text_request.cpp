#include "server/handlers/openai_text_request.h"

#include "base/error.h"

namespace qwen {

void check_model_name(const std::string& asked, const ModelInfo& model) {
  if (!asked.empty() && asked != model.name)
    throw Error(ErrorCode::kNotFound, str("this server serves ", model.name, " and no other model"), "model");
}

TextRequest openai_text_request(const SamplingFields& sampling, const std::vector<std::pair<TokenId, float>>& bias,
                                std::optional<int> max_tokens, const ServiceConfig& config, const LoadedModel& model,
                                const Request& in) {
  TextRequest text;
  text.sampling = apply_sampling(sampling, model.default_sampling);
  text.sampling.logit_bias = bias;
  text.stop = sampling.stop;
  text.cache = cache_use(in, sampling.seed.has_value(), config);
  text.max_tokens = max_tokens;
  text.max_tokens_param = "max_tokens";
  text.vllm_sentence = true;
  text.max_tokens_cap = config.max_completion_tokens;
  text.started = in.arrived;
  text.max_wait = config.max_wait;
  text.deadline = in.arrived + config.request_timeout;
  return text;
}

}  // namespace qwen
