// A conversation as the chat template sees it.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace qwen {

struct ToolCall {
  std::string name;
  std::string arguments_json;  // pasted as it stands: python_json() of an object, or the caller's own string
};

struct Message {
  std::string role;                              // system, user, assistant or tool; another role renders as nothing
  std::optional<std::string> content;            // absent: null, missing or not a string
  std::optional<std::string> reasoning_content;  // assistant only
  std::vector<ToolCall> tool_calls;              // assistant only
};

struct TemplateOptions {
  std::vector<std::string> tools;       // one JSON text each, as python_json() gives it
  bool add_generation_prompt = true;    // not added where continue_final_message is set
  bool continue_final_message = false;  // the last message stays open: the model goes on writing it
  bool thinking = true;                 // false: the prompt closes the thought at once (every family that thinks)
  std::optional<bool>
      enable_thinking;  // the template variable: only the hybrid family looks at it; false is thinking = false there
};

struct Conversation {
  std::vector<Message> messages;
  TemplateOptions options;
};

}  // namespace qwen
