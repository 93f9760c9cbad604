#include "server/handlers/native_text_request.h"

namespace qwen {

TextRequest native_text_request(const GenerateRequest& generate, const std::string& prompt, const ServiceConfig& config,
                                const LoadedModel& model, const Request& in) {
  TextRequest text;
  if (generate.raw) {
    text.raw_prompt = prompt;
  } else {
    if (generate.system) text.messages.push_back({.role = "system", .content = *generate.system});
    text.messages.push_back({.role = "user", .content = prompt});
    const bool thinks = generate.thinking && generate.limits.budget != 0;
    text.template_options.thinking = thinks;
    text.template_options.enable_thinking = thinks;
  }
  SamplingParams defaults = model.default_sampling;
  defaults.temperature = config.default_temperature;
  defaults.top_p = config.default_top_p;
  text.sampling = apply_sampling(generate.sampling, defaults);
  if (!generate.do_sample) text.sampling.temperature = 0;
  text.stop = generate.sampling.stop;
  text.cache = cache_use(in, generate.sampling.seed.has_value(), config);
  if (generate.max_length) {
    text.max_tokens = generate.max_length->tokens;
    text.max_tokens_param = generate.max_length->param;
  }
  text.default_max_tokens = config.default_max_length;
  text.max_tokens_cap = config.max_length;
  text.started = in.arrived;
  text.max_wait = config.max_wait;
  text.deadline = deadline_of(generate.limits, in.arrived, config.request_timeout);
  if (generate.thinking || generate.raw) text.thinking = to_thinking_request(generate.limits);
  return text;
}

}  // namespace qwen
