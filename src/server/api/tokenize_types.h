// Text ↔ tokens over HTTP, in the words of vLLM and of llama-server.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/token_id.h"
#include "server/api/field_reader.h"
#include "text/message.h"

namespace qwen {

class Tokenizer;

struct TokenizeRequest {
  std::string model;  // empty: not given
  // A conversation, of whose text nothing becomes a control token, or a text as it stands, control tokens included.
  std::optional<Conversation> conversation;
  std::string text;
  bool parse_special = true;  // false: the text yields no control token either
  bool return_token_strs = false;
};

// {"prompt" (llama-server: "content"): text} or {"messages":[…]}; add_special_tokens changes nothing, for Qwen's
// tokenizer adds none. Errors: kInvalidValue and kUnknownField naming the field, here and below.
TokenizeRequest parse_tokenize_request(const JsonValue& body);

struct DetokenizeRequest {
  std::string model;
  std::vector<TokenId> tokens;
};
DetokenizeRequest parse_detokenize_request(const JsonValue& body);

struct ApplyTemplateRequest {
  std::string model;
  Conversation conversation;
};
ApplyTemplateRequest parse_apply_template_request(const JsonValue& body);

// {"count":…,"max_model_len":…,"tokens":[…],"token_strs":[…] or null}
std::string tokenize_answer_json(const std::vector<TokenId>& tokens, int max_model_len, const Tokenizer* spellings);

}  // namespace qwen
