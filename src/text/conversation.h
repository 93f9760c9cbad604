// A conversation from JSON, for the render command and the HTTP API.
#pragma once

#include <span>
#include <string_view>

#include "text/message.h"

namespace qwen {

struct JsonValue;

// {"messages":…,"tools":…,"add_generation_prompt":true,"continue_final_message":false,"chat_template_kwargs":{"enable_thinking":…,
// "thinking":…}}: read as leniently as the published template reads it (content that is not a string counts as absent,
// unknown members are ignored). `reasoning` is a synonym of `reasoning_content`. Errors: kInvalidValue naming the
// member.
Conversation parse_conversation_json(std::string_view json_object);
Conversation parse_conversation(const JsonValue& object);

// What the template would silently drop or paste unescaped, for a server that must not: an unknown role, a tool call
// without a plain name ([A-Za-z0-9_.-], at most 128) or whose arguments are not a JSON object. Errors: kInvalidValue
// with param messages[i]….
void check_messages(std::span<const Message> messages);

}  // namespace qwen
