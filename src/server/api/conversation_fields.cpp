#include "server/api/conversation_fields.h"

#include "server/request_error.h"
#include "text/conversation.h"

namespace qwen {
namespace {

constexpr size_t kMaxMessages = 2048, kMaxTextParts = 64, kMaxTools = 128;

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

}  // namespace

Conversation read_conversation(FieldReader& fields) {
  JsonValue object{.kind = JsonValue::Kind::kObject};
  const JsonValue* messages = fields.any("messages");
  if (messages == nullptr || !messages->is_array() || messages->items.empty() || messages->items.size() > kMaxMessages)
    throw_invalid("messages", str("be a list of 1 to ", kMaxMessages, " messages"));
  JsonValue normalized = *messages;
  for (size_t i = 0; i < normalized.items.size(); ++i) normalize_message(normalized.items[i], str("messages[", i, "]"));
  object.members.push_back({"messages", std::move(normalized)});

  const JsonValue* choice = fields.any("tool_choice");
  const bool no_tools = choice != nullptr && choice->is_string() && choice->text == "none";
  if (const JsonValue* tools = fields.any("tools"); tools != nullptr && !no_tools) {
    check_tools(*tools);
    object.members.push_back({"tools", *tools});
  }
  Conversation conversation = parse_conversation(object);
  check_messages(conversation.messages);
  return conversation;
}

}  // namespace qwen
