// GET /model_info: what is served and how it samples where a request does not say.
#include "server/api/json_writer.h"
#include "server/handlers/handlers.h"

namespace qwen {
namespace {

void write_sampling(JsonWriter& json, float temperature, float top_p, const SamplingParams& rest) {
  json.begin_object();
  json.key("temperature").fixed(temperature, 4).key("top_p").fixed(top_p, 4);
  json.field("top_k", rest.top_k).key("min_p").fixed(rest.min_p, 4);
  json.key("repetition_penalty").fixed(rest.repetition_penalty, 4);
  json.end_object();
}

}  // namespace

Handler model_info_handler(const HandlerContext& context) {
  return [&context](Request, ResponderPtr responder) {
    const auto model = context.service.ready_model();
    const ModelInfo& info = model->info;
    JsonWriter json;
    json.begin_object();
    json.field("model_type", info.name).field("architecture", info.architecture).field("parameters", info.parameters);
    json.field("quantization", info.quantization).field("head_format", info.head_format);
    json.field("context_length", info.context_length);
    json.field("max_model_len", model->engine->max_model_len()).field("vocab_size", info.vocab_size);
    json.field("dtype", info.dtype).field("kv_cache_dtype", info.kv_cache_dtype);
    json.field("device", info.device).field("kernels", info.kernels);
    json.field("fingerprint", info.fingerprint).field("template_family", model->chat_template->family_name());
    json.field("demo", info.demo).field("thinking_tokens_per_depth", context.config.tokens_per_depth);
    json.key("default_sampling").begin_object();
    json.key("generate");
    write_sampling(json, context.config.default_temperature, context.config.default_top_p, model->default_sampling);
    json.key("chat");
    write_sampling(json, model->default_sampling.temperature, model->default_sampling.top_p, model->default_sampling);
    json.end_object().end_object();
    responder->send({.body = json.take()});
  };
}

}  // namespace qwen
