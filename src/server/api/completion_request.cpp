// See completion_types.h: the four shapes of a prompt, and what is refused because it is not done here.
#include <limits>

#include "base/error.h"
#include "server/api/completion_types.h"
#include "server/api/token_ids.h"
#include "server/request_error.h"

namespace qwen {
namespace {

void refuse_unsupported(const JsonValue& body) {
  refuse_given(body, {"suffix", "prompt_logprobs", "prompt_embeds", "use_beam_search", "response_format", "guided_json",
                      "guided_regex", "guided_choice", "guided_grammar", "structured_outputs"});
  // Here 0 asks for something: the log probabilities of the chosen tokens.
  const JsonValue* logprobs = body.find("logprobs");
  if (logprobs != nullptr && !logprobs->is_null() && !logprobs->is_false())
    throw UnsupportedError("logprobs is not supported", "logprobs");
}

CompletionPrompt read_prompt(const JsonValue& value, const std::string& param) {
  CompletionPrompt prompt{.text = {}, .ids = {}, .param = param};
  if (value.is_string())
    prompt.text = value.text;
  else
    prompt.ids = read_token_ids(value, param);
  if (prompt.text.empty() && prompt.ids.empty()) throw_invalid(param, "not be empty");
  return prompt;
}

// A string, a list of strings, the tokens of one prompt, or a list of those.
std::vector<CompletionPrompt> read_prompts(const JsonValue* value, int max_prompts) {
  if (value == nullptr) throw Error(ErrorCode::kInvalidValue, "prompt is required", "prompt");
  if (!value->is_string() && !value->is_array()) throw_invalid("prompt", "be a string or a list");
  const bool several =
      value->is_array() && !value->items.empty() && (value->items[0].is_string() || value->items[0].is_array());
  if (!several) return {read_prompt(*value, "prompt")};
  if (value->items.size() > static_cast<size_t>(max_prompts))
    throw_invalid("prompt", str("be at most ", max_prompts, " prompts"));
  std::vector<CompletionPrompt> prompts;
  for (size_t i = 0; i < value->items.size(); ++i) {
    const std::string where = str("prompt[", i, "]");
    if (value->items[i].kind != value->items[0].kind) throw_invalid(where, "be of the same kind as the first");
    prompts.push_back(read_prompt(value->items[i], where));
  }
  return prompts;
}

}  // namespace

CompletionRequest parse_completion_request(const JsonValue& body, int max_prompts) {
  refuse_unsupported(body);
  FieldReader fields(body, FieldReader::Unknown::kIgnore);
  CompletionRequest request;
  request.model = fields.string("model", kMaxModelBytes).value_or("");
  request.prompts = read_prompts(fields.any("prompt"), max_prompts);
  request.sampling = read_sampling_fields(fields);
  request.logit_bias = read_logit_bias(fields);
  request.n = read_choices(fields);
  if (const auto most = fields.integer("max_tokens", 1, std::numeric_limits<int32_t>::max()))
    request.max_tokens = static_cast<int>(*most);
  request.echo = fields.boolean("echo").value_or(false);
  request.stream = read_stream_fields(fields);
  request.limits = read_thinking_fields(fields);
  return request;
}

}  // namespace qwen
