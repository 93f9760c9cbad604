#include "text/conversation.h"

#include <algorithm>

#include "base/error.h"
#include "base/quote.h"
#include "text/json_value.h"

namespace qwen {
namespace {

constexpr size_t kMaxNameLength = 128;

[[noreturn]] void bad(const std::string& problem, const std::string& param) {
  throw Error(ErrorCode::kInvalidValue, str(param, " ", problem), param);
}

std::optional<std::string> string_member(const JsonValue& object, std::string_view key) {
  const JsonValue* value = object.find(key);
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return value->text;
}

bool flag(const JsonValue& object, std::string_view key, bool otherwise) {
  const JsonValue* value = object.find(key);
  if (value == nullptr || value->is_null()) return otherwise;
  if (value->kind != JsonValue::Kind::kBool) bad("must be true or false", std::string(key));
  return value->boolean;
}

ToolCall parse_tool_call(const JsonValue& outer, const std::string& param) {
  const JsonValue* function = outer.find("function");
  const JsonValue& call = function != nullptr && function->truthy() ? *function : outer;
  const JsonValue* arguments = call.find("arguments");
  if (arguments == nullptr) bad("has no arguments", param);
  const JsonValue* name = call.find("name");
  if (name != nullptr && !name->is_string()) bad("must be a string", param + ".name");
  return {name == nullptr ? "" : name->text, arguments->is_string() ? arguments->text : python_json(*arguments)};
}

Message parse_message(const JsonValue& value, const std::string& param) {
  if (!value.is_object()) bad("must be an object", param);
  Message message;
  message.role = string_member(value, "role").value_or("");
  message.content = string_member(value, "content");
  message.reasoning_content = string_member(value, "reasoning_content");
  if (!message.reasoning_content) message.reasoning_content = string_member(value, "reasoning");
  const JsonValue* calls = value.find("tool_calls");
  if (message.role != "assistant" || calls == nullptr || !calls->truthy()) return message;
  if (!calls->is_array()) bad("must be an array", param + ".tool_calls");
  for (size_t i = 0; i < calls->items.size(); ++i)
    message.tool_calls.push_back(parse_tool_call(calls->items[i], str(param, ".tool_calls[", i, "]")));
  return message;
}

bool is_plain_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameLength && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
  });
}

bool is_json_object(const std::string& text) {
  try {
    return parse_json(text).is_object();
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

Conversation parse_conversation(const JsonValue& object) {
  const JsonValue* messages = object.find("messages");
  if (messages == nullptr || !messages->is_array()) bad("must be an array", "messages");
  Conversation conversation;
  for (size_t i = 0; i < messages->items.size(); ++i)
    conversation.messages.push_back(parse_message(messages->items[i], str("messages[", i, "]")));

  TemplateOptions& options = conversation.options;
  if (const JsonValue* tools = object.find("tools"); tools != nullptr && !tools->is_null()) {
    if (!tools->is_array()) bad("must be an array", "tools");
    for (const JsonValue& tool : tools->items) options.tools.push_back(python_json(tool));
  }
  options.add_generation_prompt = flag(object, "add_generation_prompt", true);
  options.continue_final_message = flag(object, "continue_final_message", false);
  if (const JsonValue* kwargs = object.find("chat_template_kwargs"); kwargs != nullptr && !kwargs->is_null()) {
    if (!kwargs->is_object()) bad("must be an object", "chat_template_kwargs");
    options.thinking = flag(*kwargs, "thinking", true);
    if (const JsonValue* value = kwargs->find("enable_thinking");
        value != nullptr && value->kind == JsonValue::Kind::kBool)
      options.enable_thinking = value->boolean;
  }
  return conversation;
}

Conversation parse_conversation_json(std::string_view json_object) {
  return parse_conversation(parse_json(json_object));
}

void check_messages(std::span<const Message> messages) {
  for (size_t i = 0; i < messages.size(); ++i) {
    const Message& message = messages[i];
    const std::string param = str("messages[", i, "]");
    if (message.role != "system" && message.role != "user" && message.role != "assistant" && message.role != "tool")
      bad(str("is ", quote(message.role), "; it must be system, user, assistant or tool"), param + ".role");
    for (size_t j = 0; j < message.tool_calls.size(); ++j) {
      const std::string call = str(param, ".tool_calls[", j, "]");
      if (!is_plain_name(message.tool_calls[j].name))
        bad(str("must be 1 to ", kMaxNameLength, " letters, digits, '_', '-' or '.'"), call + ".name");
      if (!is_json_object(message.tool_calls[j].arguments_json)) bad("must be a JSON object", call + ".arguments");
    }
  }
}

}  // namespace qwen
