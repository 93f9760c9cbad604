#include "server/workers/settings_handover.h"

#include <charconv>

#include "base/error.h"
#include "server/config/key_table.h"
#include "server/config/value_text.h"

namespace qwen {
namespace {

// "5:hello": what is in a text does not matter.
void append(std::string& out, std::string_view text) {
  out.append(std::to_string(text.size())).append(":").append(text);
}

[[noreturn]] void refuse() {
  throw Error(ErrorCode::kInternal, "workers: the supervisor's settings are of another version");
}

std::string take(std::string_view& text) {
  size_t size = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), size);
  const auto digits = static_cast<size_t>(stop - text.data());
  if (error != std::errc() || digits >= text.size() || text[digits] != ':' || size > text.size() - digits - 1) refuse();
  const std::string_view taken = text.substr(digits + 1, size);
  text.remove_prefix(digits + 1 + size);
  return std::string(taken);
}

int take_number(std::string_view& text) {
  const std::string number = take(text);
  int value = 0;
  const auto [stop, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  if (error != std::errc() || stop != number.data() + number.size()) refuse();
  return value;
}

}  // namespace

std::string spell_settings(const EffectiveConfig& effective, const std::optional<TlsPair>& certificate) {
  std::string out;
  for (const EffectiveValue& value : effective.values) {
    for (const std::string_view part :
         {value.name, std::string_view(value.value), std::string_view(value.origin), std::string_view(value.subject)})
      append(out, part);
    const auto origin = effective.config.origins.find(value.name);
    const bool set = origin != effective.config.origins.end();
    append(out, set ? "1" : "0");
    append(out, std::to_string(set ? static_cast<int>(origin->second.wrong_value) : 0));
    append(out, set && origin->second.from_file ? "1" : "0");
  }
  append(out, certificate ? "1" : "0");
  append(out, certificate ? certificate->certificates : "");
  append(out, certificate ? certificate->key : "");
  return out;
}

EffectiveConfig read_settings(std::string_view text) {
  EffectiveConfig effective;
  for (const ConfigRow& row : config_rows()) {
    if (take(text) != row.key.name) refuse();
    EffectiveValue value{row.key.name, take(text), take(text), take(text)};
    try {
      if (!value.value.empty()) row.set(effective.config, value.value);
    } catch (const Disallowed&) {
      refuse();
    }
    const bool set = take_number(text) != 0;
    const auto code = static_cast<ErrorCode>(take_number(text));
    const bool from_file = take_number(text) != 0;
    if (set) effective.config.origins[std::string(row.key.name)] = {value.subject, code, from_file};
    effective.values.push_back(std::move(value));
  }
  const bool certificate = take_number(text) != 0;
  TlsPair pair{take(text), take(text)};
  if (certificate) effective.config.ssl_pair = std::move(pair);
  if (!text.empty()) refuse();
  return effective;
}

}  // namespace qwen
