// GET /v1/models and /v1/models/{id}: what is served, in OpenAI's words.
#include "server/api/json_writer.h"
#include "server/handlers/handlers.h"

namespace qwen {
namespace {

void write_model(JsonWriter& json, const LoadedModel& model, std::chrono::system_clock::time_point since) {
  json.begin_object();
  json.field("id", model.info.name).field("object", "model");
  json.field("created", std::chrono::duration_cast<std::chrono::seconds>(since.time_since_epoch()).count());
  json.field("owned_by", "qwen-thinking").field("root", model.info.name).key("parent").null();
  json.field("max_model_len", model.engine->max_model_len());
  json.key("permission").begin_array().end_array();
  json.end_object();
}

}  // namespace

Handler list_models_handler(const HandlerContext& context) {
  return [&context](Request, ResponderPtr responder) {
    const auto model = context.service.ready_model();
    JsonWriter json;
    json.begin_object().field("object", "list").key("data").begin_array();
    write_model(json, *model, context.service.ready_since());
    json.end_array().end_object();
    responder->send({.body = json.take()});
  };
}

Handler get_model_handler(const HandlerContext& context) {
  return [&context](Request request, ResponderPtr responder) {
    const auto model = context.service.ready_model();
    if (request.path_tail != model->info.name)
      throw Error(ErrorCode::kNotFound, str("this server serves ", model->info.name, " and no other model"), "model");
    JsonWriter json;
    write_model(json, *model, context.service.ready_since());
    responder->send({.body = json.take()});
  };
}

}  // namespace qwen
