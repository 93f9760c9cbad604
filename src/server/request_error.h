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

// The prompt, or the prompt and the tokens asked for, are more than a sequence may hold. Client libraries look for
// "maximum context length is".
class ContextLengthError : public Error {
 public:
  ContextLengthError(const std::string& message, std::string param, long long prompt, long long context)
      : Error(ErrorCode::kContextLengthExceeded, message, std::move(param)),
        prompt_tokens(prompt),
        context_length(context) {}

  long long prompt_tokens, context_length;
};

// vLLM's sentence, from which client libraries read the numbers. `at_least`: the prompt is as long or longer, nobody
// counted to its end.
inline std::string context_length_sentence(long long prompt, long long max_tokens, long long context, bool at_least) {
  const char* const least = at_least ? "at least " : "";
  return str("This model's maximum context length is ", context, " tokens. However, you requested ", least,
             prompt + max_tokens, " tokens (", least, prompt, " in the messages, ", max_tokens,
             " in the completion). Please reduce the length of the messages or completion.");
}

// No answer fits beside this prompt, not even the shortest.
class PromptTooLongError : public ContextLengthError {
 public:
  PromptTooLongError(long long prompt, long long max_tokens, long long context, bool at_least = false)
      : ContextLengthError(context_length_sentence(prompt, max_tokens, context, at_least), "input_tokens", prompt,
                           context) {}
};

// The prompt fits, but not with as many new tokens as were asked for.
class OutputTooLongError : public ContextLengthError {
 public:
  struct Limit {
    std::string param;  // the field that asked for them
    long long asked = 0, most = 0;
    bool vllm_sentence = false;
  };
  OutputTooLongError(const Limit& limit, long long prompt, long long context)
      : ContextLengthError(limit.vllm_sentence
                               ? context_length_sentence(prompt, limit.asked, context, false)
                               : str(limit.param, " must be at most ", limit.most, " with this prompt: it has ", prompt,
                                     " tokens, and this model's maximum context length is ", context, " tokens"),
                           limit.param, prompt, context) {}
};

}  // namespace qwen
