// See chat_thinking_fields.h.
#include "server/api/chat_thinking_fields.h"

namespace qwen {
namespace {

class ChatThinking {
 public:
  explicit ChatThinking(FieldReader& fields) : limits_(read_thinking_fields(fields)) {
    read_reasoning_effort(fields, limits_);
    read_switch(fields, "enable_thinking");
    read_thinking(fields);
    read_template_kwargs(fields);
    if (const JsonValue* custom = object(fields, "custom_params")) {
      FieldReader inner(*custom, FieldReader::Unknown::kIgnore, "custom_params.");
      read_budget(inner, "thinking_budget");
    }
  }

  const ThinkingFields& limits() const { return limits_; }
  std::optional<bool> enabled() const { return enabled_; }

 private:
  static const JsonValue* object(FieldReader& fields, std::string_view name) {
    const JsonValue* value = fields.any(name);
    if (value != nullptr && !value->is_object()) throw_invalid(fields.param(name), "be an object");
    return value;
  }

  void set_enabled(bool enabled, const std::string& param) {
    if (enabled_ && *enabled_ != enabled) throw_invalid(param, "agree with what else this request says of thinking");
    enabled_ = enabled;
  }
  void read_switch(FieldReader& fields, std::string_view name) {
    if (const auto flag = fields.boolean(name)) set_enabled(*flag, fields.param(name));
  }
  void read_budget(FieldReader& fields, std::string_view name) {
    if (const auto budget = fields.integer(name, -1, kMaxThinkingBudget))
      set_thinking_budget(limits_, static_cast<int>(*budget), fields.param(name));
  }

  void read_thinking(FieldReader& fields) {
    const JsonValue* thinking = fields.any("thinking");
    if (thinking == nullptr) return;
    if (thinking->is_true() || thinking->is_false()) return set_enabled(thinking->is_true(), "thinking");
    if (!thinking->is_object()) throw_invalid("thinking", "be true, false or an object with a type");
    FieldReader inner(*thinking, FieldReader::Unknown::kIgnore, "thinking.");
    const auto type = inner.string("type");
    if (type != "enabled" && type != "disabled") throw_invalid("thinking.type", "be \"enabled\" or \"disabled\"");
    set_enabled(type == "enabled", "thinking.type");
    read_budget(inner, "budget_tokens");
  }

  void read_template_kwargs(FieldReader& fields) {
    const JsonValue* kwargs = object(fields, "chat_template_kwargs");
    if (kwargs == nullptr) return;
    FieldReader inner(*kwargs, FieldReader::Unknown::kReject, "chat_template_kwargs.");
    for (const char* name : {"enable_thinking", "thinking"}) read_switch(inner, name);
    read_budget(inner, "thinking_budget");
    inner.finish();
  }

  ThinkingFields limits_;
  std::optional<bool> enabled_;
};

}  // namespace

ThinkingFields read_chat_thinking(FieldReader& fields, TemplateOptions& options) {
  const ChatThinking read(fields);
  if (read.enabled()) options.enable_thinking = *read.enabled();
  if (read.enabled() == false || read.limits().budget == 0) options.thinking = false;
  if (!options.thinking) options.enable_thinking = false;
  return read.limits();
}

}  // namespace qwen
