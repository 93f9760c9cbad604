#include "server/api/openai_fields.h"

#include <charconv>

#include "base/error.h"
#include "server/api/sampling_fields.h"
#include "server/request_error.h"

namespace qwen {

const JsonValue* given(const JsonValue& body, std::string_view name) {
  const JsonValue* value = body.find(name);
  return value != nullptr && value->truthy() ? value : nullptr;
}

void refuse_given(const JsonValue& body, std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (given(body, name)) throw UnsupportedError(str(name, " is not supported"), name);
}

int read_choices(FieldReader& fields) {
  const int n = static_cast<int>(fields.integer("n", 1, kMaxChoices).value_or(1));
  const JsonValue* best_of = fields.any("best_of");
  if (best_of != nullptr && as_integer(*best_of) != n)
    throw UnsupportedError("best_of other than n is not supported", "best_of");
  return n;
}

StreamFields read_stream_fields(FieldReader& fields) {
  StreamFields stream{.stream = fields.boolean("stream").value_or(false)};
  if (const JsonValue* options = fields.any("stream_options")) {
    if (!options->is_object()) throw_invalid("stream_options", "be an object");
    if (!stream.stream) throw_invalid("stream_options", "only be given with stream true");
    FieldReader inner(*options, FieldReader::Unknown::kIgnore, "stream_options.");
    stream.include_usage = inner.boolean("include_usage").value_or(false);
  }
  return stream;
}

std::vector<std::pair<TokenId, float>> read_logit_bias(FieldReader& fields) {
  std::vector<std::pair<TokenId, float>> result;
  const JsonValue* bias = fields.any("logit_bias");
  if (bias == nullptr) return result;
  if (!bias->is_object() || bias->members.size() > kMaxLogitBias)
    throw_invalid("logit_bias", str("be an object of at most ", kMaxLogitBias, " token ids"));
  for (const JsonMember& member : bias->members) {
    TokenId id = -1;
    const char* const end = member.key.data() + member.key.size();
    const auto [stop, error] = std::from_chars(member.key.data(), end, id);
    const auto value = as_number(member.value);
    if (error != std::errc() || stop != end || id < 0) throw_invalid("logit_bias", "have token ids as its keys");
    if (!value || *value < -100 || *value > 100)
      throw_invalid("logit_bias", "have numbers from -100 to 100 as its values");
    result.emplace_back(id, static_cast<float>(*value));
  }
  return result;
}

}  // namespace qwen
