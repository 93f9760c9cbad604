// See tokenize_types.h.
#include "base/error.h"
#include "server/api/chat_thinking_fields.h"
#include "server/api/conversation_fields.h"
#include "server/api/json_writer.h"
#include "server/api/openai_fields.h"
#include "server/api/token_ids.h"
#include "server/api/tokenize_types.h"
#include "text/tokenizer.h"

namespace qwen {
namespace {

// A conversation and how its prompt ends.
Conversation read_rendering(FieldReader& fields) {
  Conversation conversation = read_conversation(fields);
  TemplateOptions& options = conversation.options;
  read_chat_thinking(fields, options);
  options.add_generation_prompt = fields.boolean("add_generation_prompt").value_or(true);
  options.continue_final_message = fields.boolean("continue_final_message").value_or(false);
  return conversation;
}

// Where there is no conversation, what says how to render one is known, but out of place.
void refuse_rendering(FieldReader& fields) {
  const auto refuse = [&](std::string_view name) {
    if (fields.any(name) != nullptr) throw_invalid(fields.param(name), "only be given with messages");
  };
  for (const char* name : {"tools", "tool_choice", "add_generation_prompt", "continue_final_message"}) refuse(name);
  for (const std::string_view name : kChatThinkingFields) refuse(name);
  for (const std::string_view name : kBudgetFields) refuse(name);
}

std::string read_model(FieldReader& fields) { return fields.string("model", kMaxModelBytes).value_or(""); }

}  // namespace

TokenizeRequest parse_tokenize_request(const JsonValue& body) {
  FieldReader fields(body, FieldReader::Unknown::kReject);
  TokenizeRequest request;
  request.model = read_model(fields);
  const auto prompt = fields.string("prompt"), content = fields.string("content");
  if (fields.any("messages") != nullptr)
    request.conversation = read_rendering(fields);
  else
    refuse_rendering(fields);
  for (const char* name : {"add_special_tokens", "add_special"}) fields.boolean(name);
  request.parse_special = fields.boolean("parse_special").value_or(true);
  request.return_token_strs = fields.boolean("return_token_strs").value_or(false);
  fields.finish();
  const int given = int{prompt.has_value()} + int{content.has_value()} + int{request.conversation.has_value()};
  if (given == 0) throw Error(ErrorCode::kInvalidValue, "prompt or messages is required", "prompt");
  if (given > 1) throw_invalid(prompt ? "prompt" : "content", "be the only one of prompt, content and messages");
  if (!request.conversation) request.text = prompt ? *prompt : *content;
  return request;
}

DetokenizeRequest parse_detokenize_request(const JsonValue& body) {
  FieldReader fields(body, FieldReader::Unknown::kReject);
  DetokenizeRequest request{.model = read_model(fields), .tokens = {}};
  const JsonValue* tokens = fields.any("tokens");
  fields.finish();
  if (tokens == nullptr) throw Error(ErrorCode::kInvalidValue, "tokens is required", "tokens");
  request.tokens = read_token_ids(*tokens, "tokens");
  return request;
}

ApplyTemplateRequest parse_apply_template_request(const JsonValue& body) {
  FieldReader fields(body, FieldReader::Unknown::kReject);
  ApplyTemplateRequest request{.model = read_model(fields), .conversation = read_rendering(fields)};
  fields.finish();
  return request;
}

std::string tokenize_answer_json(const std::vector<TokenId>& tokens, int max_model_len, const Tokenizer* spellings) {
  JsonWriter json;
  json.begin_object().field("count", tokens.size()).field("max_model_len", max_model_len);
  json.key("tokens").begin_array();
  for (const TokenId id : tokens) json.value(id);
  json.end_array().key("token_strs");
  if (spellings == nullptr) {
    json.null();
  } else {
    json.begin_array();
    for (const TokenId id : tokens) json.value(spellings->token_spelling(id));
    json.end_array();
  }
  json.end_object();
  return json.take();
}

}  // namespace qwen
