// POST /apply-template: the prompt that a conversation becomes before the model sees it, without the engine.
#include "server/api/json_writer.h"
#include "server/api/tokenize_types.h"
#include "server/handlers/handlers.h"
#include "server/handlers/openai_text_request.h"

namespace qwen {
namespace {

std::string apply_template(const JsonValue& body, const LoadedModel& model) {
  const ApplyTemplateRequest request = parse_apply_template_request(body);
  check_model_name(request.model, model.info);
  const std::string prompt = model.chat_template->render(request.conversation.messages, request.conversation.options);
  return JsonWriter().begin_object().field("prompt", prompt).end_object().take();
}

}  // namespace

Handler apply_template_handler(const HandlerContext& context) { return answer_on_worker(context, apply_template); }

}  // namespace qwen
