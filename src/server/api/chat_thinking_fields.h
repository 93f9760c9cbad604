// What a conversation's request says of its thought, in the words of the services that its clients were written for.
// Read here alone, so that /apply-template and /tokenize show the prompt that /v1/chat/completions would send.
#pragma once

#include <string_view>

#include "server/api/thinking_fields.h"
#include "text/message.h"

namespace qwen {

// The fields that this reader takes beyond those of read_thinking_fields.
inline constexpr std::string_view kChatThinkingFields[] = {"reasoning_effort", "enable_thinking", "thinking",
                                                           "chat_template_kwargs", "custom_params"};

// Whether to think: enable_thinking, chat_template_kwargs.enable_thinking and .thinking, thinking (true, false or
// {"type":"enabled"|"disabled"}). How long: read_thinking_fields, reasoning_effort, thinking.budget_tokens,
// chat_template_kwargs.thinking_budget, custom_params.thinking_budget. A budget of 0, like not to think, closes the
// thought in the prompt. Errors: kInvalidValue, also where two switches or two budgets differ; kUnknownField for
// another template variable.
ThinkingFields read_chat_thinking(FieldReader& fields, TemplateOptions& options);

}  // namespace qwen
