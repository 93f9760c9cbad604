// What a request can be refused for beyond a plain bad value: errors with something more to say than code and message.
#pragma once

#include <string>

#include "base/error.h"

namespace qwen {

// Asks for what this server does not do.
class UnsupportedError : public Error {
 public:
  UnsupportedError(const std::string& message, std::string param)
      : Error(ErrorCode::kInvalidValue, message, std::move(param)) {}
};

// The prompt, or the prompt and the tokens asked for, are more than a sequence may hold. `at_least`: the prompt is as
// long or longer, nobody counted to its end. The sentence is vLLM's: client
// libraries look for "maximum context length is".
class PromptTooLongError : public Error {
 public:
  PromptTooLongError(long long prompt, long long max_tokens, long long context, bool at_least = false)
      : Error(ErrorCode::kContextLengthExceeded,
              str("This model's maximum context length is ", context, " tokens. However, you requested ",
                  at_least ? "at least " : "", prompt + max_tokens, " tokens (", at_least ? "at least " : "", prompt,
                  " in the messages, ", max_tokens,
                  " in the completion). Please reduce the length of the messages or completion."),
              "input_tokens"),
        prompt_tokens(prompt),
        context_length(context) {}

  long long prompt_tokens, context_length;
};

}  // namespace qwen
