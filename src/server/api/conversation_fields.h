// A conversation as the routes that take one spell it: messages (content as a string or as text parts), tools,
// tool_choice "none". What they say of the thought is read by chat_thinking_fields.h.
#pragma once

#include "server/api/field_reader.h"
#include "text/message.h"

namespace qwen {

// Errors: kInvalidValue naming the member; UnsupportedError for content that is not text.
Conversation read_conversation(FieldReader& fields);

}  // namespace qwen
