#include <algorithm>
#include <charconv>
#include <limits>

#include "base/error.h"
#include "server/api/openai_types.h"
#include "server/request_error.h"
#include "text/conversation.h"

namespace qwen {
namespace {

constexpr size_t kMaxMessages = 2048, kMaxTextParts = 64, kMaxTools = 128, kMaxModelBytes = 256;

// Present and neither null, false, 0, "" nor empty: somebody relies on it.
const JsonValue* given(const JsonValue& body, std::string_view name) {
  const JsonValue* value = body.find(name);
  return value != nullptr && value->truthy() ? value : nullptr;
}

void refuse_unsupported(const JsonValue& body) {
  for (const char* name :
       {"logprobs", "top_logprobs", "functions", "function_call", "audio", "prediction", "prompt_embeds",
        "use_beam_search", "echo", "suffix", "chat_template", "guided_json", "guided_regex", "guided_choice",
        "guided_grammar", "structured_outputs", "continue_final_message"})
    if (given(body, name)) throw UnsupportedError(str(name, " is not supported"), name);
  for (const char* name : {"n", "best_of"}) {
    const JsonValue* value = body.find(name);
    if (value == nullptr || value->is_null()) continue;
    const auto count = as_integer(*value);
    if (!count || *count < 1) throw_invalid(name, "be a whole number from 1");
    if (*count > 1) throw UnsupportedError(str(name, " above 1 is not supported"), name);
  }
  if (const JsonValue* format = given(body, "response_format")) {
    const JsonValue* type = format->find("type");
    if (type == nullptr || !type->is_string() || type->text != "text")
      throw UnsupportedError("response_format other than {\"type\":\"text\"} is not supported", "response_format");
  }
  if (const JsonValue* choice = given(body, "tool_choice"))
    if (!choice->is_string() || (choice->text != "auto" && choice->text != "none"))
      throw UnsupportedError("tool_choice other than \"auto\" and \"none\" is not supported", "tool_choice");
  if (const JsonValue* modalities = given(body, "modalities"))
    if (!modalities->is_array() || modalities->items.size() != 1 || modalities->items[0].text != "text")
      throw UnsupportedError("modalities other than [\"text\"] are not supported", "modalities");
}

// Content given as parts becomes one string: this model reads text only.
void flatten_parts(JsonValue& content, const std::string& param) {
  if (content.items.size() > kMaxTextParts) throw_invalid(param, str("have at most ", kMaxTextParts, " parts"));
  std::string text;
  for (size_t i = 0; i < content.items.size(); ++i) {
    const JsonValue& part = content.items[i];
    const std::string where = str(param, "[", i, "]");
    const JsonValue* type = part.find("type");
    if (type == nullptr || !type->is_string()) throw_invalid(where, "be an object with a type");
    if (type->text != "text") throw UnsupportedError(where + " is not text; this model reads text only", where);
    const JsonValue* piece = part.find("text");
    if (piece == nullptr || !piece->is_string()) throw_invalid(where + ".text", "be a string");
    text += piece->text;
  }
  content = JsonValue{JsonValue::Kind::kString, false, std::move(text), {}, {}};
}

JsonValue* find(JsonValue& object, std::string_view key) { return const_cast<JsonValue*>(object.find(key)); }

void normalize_message(JsonValue& message, const std::string& param) {
  if (!message.is_object()) throw_invalid(param, "be an object");
  JsonValue* role = find(message, "role");
  if (role == nullptr || !role->is_string()) throw_invalid(param + ".role", "be a string");
  if (role->text == "developer") role->text = "system";
  const bool assistant = role->text == "assistant";
  JsonValue* content = find(message, "content");
  if (content != nullptr && content->is_array()) flatten_parts(*content, param + ".content");
  // An assistant's turn may hold nothing but calls or a thought.
  const bool may_be_absent = assistant && (content == nullptr || content->is_null());
  if (!may_be_absent && (content == nullptr || !content->is_string()))
    throw_invalid(param + ".content", "be a string or a list of parts");
  for (const char* name : {"reasoning_content", "reasoning"})
    if (const JsonValue* value = message.find(name); value != nullptr && !value->is_null() && !value->is_string())
      throw_invalid(str(param, ".", name), "be a string");
}

void check_tools(const JsonValue& tools) {
  if (!tools.is_array()) throw_invalid("tools", "be a list");
  if (tools.items.size() > kMaxTools) throw_invalid("tools", str("have at most ", kMaxTools, " entries"));
  for (size_t i = 0; i < tools.items.size(); ++i) {
    const JsonValue* function = tools.items[i].find("function");
    const JsonValue* name = function != nullptr ? function->find("name") : nullptr;
    if (name == nullptr || !name->is_string() || name->text.empty())
      throw_invalid(str("tools[", i, "]"), "be {\"type\":\"function\",\"function\":{\"name\":…}}");
  }
}

Conversation read_conversation(const JsonValue& body) {
  JsonValue object{.kind = JsonValue::Kind::kObject};
  const JsonValue* messages = body.find("messages");
  if (messages == nullptr || !messages->is_array() || messages->items.empty() || messages->items.size() > kMaxMessages)
    throw_invalid("messages", str("be a list of 1 to ", kMaxMessages, " messages"));
  JsonValue normalized = *messages;
  for (size_t i = 0; i < normalized.items.size(); ++i) normalize_message(normalized.items[i], str("messages[", i, "]"));
  object.members.push_back({"messages", std::move(normalized)});

  const JsonValue* choice = body.find("tool_choice");
  const bool no_tools = choice != nullptr && choice->is_string() && choice->text == "none";
  if (const JsonValue* tools = body.find("tools"); tools != nullptr && !tools->is_null() && !no_tools) {
    check_tools(*tools);
    object.members.push_back({"tools", *tools});
  }
  Conversation conversation = parse_conversation(object);
  check_messages(conversation.messages);
  return conversation;
}

// The one template variable that a caller may set; enable_thinking false closes the thought in every family that
// thinks.
void read_template_kwargs(FieldReader& fields, TemplateOptions& options) {
  const JsonValue* kwargs = fields.any("chat_template_kwargs");
  if (kwargs == nullptr) return;
  if (!kwargs->is_object()) throw_invalid("chat_template_kwargs", "be an object");
  FieldReader inner(*kwargs, FieldReader::Unknown::kReject, "chat_template_kwargs.");
  for (const char* name : {"enable_thinking", "thinking"}) {
    const auto flag = inner.boolean(name);
    if (!flag) continue;
    options.thinking = options.thinking && *flag;
    options.enable_thinking = options.thinking;
  }
  inner.finish();
}

std::vector<std::pair<TokenId, float>> read_logit_bias(FieldReader& fields) {
  std::vector<std::pair<TokenId, float>> result;
  const JsonValue* bias = fields.any("logit_bias");
  if (bias == nullptr) return result;
  if (!bias->is_object() || bias->members.size() > kMaxLogitBias)
    throw_invalid("logit_bias", str("be an object of at most ", kMaxLogitBias, " token ids"));
  for (const JsonMember& member : bias->members) {
    TokenId id = -1;
    const char* const end = member.key.data() + member.key.size();
    const auto [stop, error] = std::from_chars(member.key.data(), end, id);
    const auto value = as_number(member.value);
    if (error != std::errc() || stop != end || id < 0) throw_invalid("logit_bias", "have token ids as its keys");
    if (!value || *value < -100 || *value > 100)
      throw_invalid("logit_bias", "have numbers from -100 to 100 as its values");
    result.emplace_back(id, static_cast<float>(*value));
  }
  return result;
}

}  // namespace

ChatRequest parse_chat_request(const JsonValue& body) {
  refuse_unsupported(body);
  FieldReader fields(body, FieldReader::Unknown::kIgnore);
  ChatRequest request;
  request.model = fields.string("model", kMaxModelBytes).value_or("");
  request.conversation = read_conversation(body);
  read_template_kwargs(fields, request.conversation.options);
  request.sampling = read_sampling_fields(fields);
  request.logit_bias = read_logit_bias(fields);
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  const auto newer = fields.integer("max_completion_tokens", 1, kMost), older = fields.integer("max_tokens", 1, kMost);
  if (newer || older) request.max_tokens = static_cast<int>(newer ? *newer : *older);
  request.stream = fields.boolean("stream").value_or(false);
  if (const JsonValue* options = fields.any("stream_options")) {
    if (!options->is_object()) throw_invalid("stream_options", "be an object");
    if (!request.stream) throw_invalid("stream_options", "only be given with stream true");
    FieldReader inner(*options, FieldReader::Unknown::kIgnore, "stream_options.");
    request.include_usage = inner.boolean("include_usage").value_or(false);
  }
  return request;
}

}  // namespace qwen
