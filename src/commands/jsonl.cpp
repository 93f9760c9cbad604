#include "commands/jsonl.h"

#include <charconv>
#include <cmath>
#include <istream>
#include <nlohmann/json.hpp>
#include <ostream>

#include "base/error.h"

namespace qwen {
namespace {

std::string dump(const nlohmann::json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

std::string error_json(std::string_view message) { return dump({{"error", message}}); }

std::string text_json(std::string_view text) { return dump({{"text", text}}); }

std::string ids_json(std::span<const TokenId> ids) {
  std::string out = "{\"ids\":[";
  for (size_t i = 0; i < ids.size(); ++i) {
    if (i > 0) out += ',';
    out += std::to_string(ids[i]);
  }
  return out += "]}";
}

void append_floats(std::string& out, std::span<const float> values) {
  out += '[';
  for (size_t i = 0; i < values.size(); ++i) {
    if (i > 0) out += ',';
    if (!std::isfinite(values[i])) {
      out += "null";
      continue;
    }
    char digits[32];
    const auto result = std::to_chars(digits, digits + sizeof digits, values[i]);
    out.append(digits, result.ptr);
  }
  out += ']';
}

int stream_jsonl(std::istream& in, std::ostream& out,
                 const std::function<AnswerWriter(const std::string& line)>& prepare) {
  std::string line;
  while (std::getline(in, line)) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    AnswerWriter write;
    try {
      write = prepare(line);
    } catch (const std::exception& error) {
      write = [reply = error_json(error.what())](std::ostream& to) { to << reply; };
    }
    write(out);
    out << '\n';
    if (!out.flush()) throw Error(ErrorCode::kFailed, "standard output: cannot write the answer; is the disk full?");
  }
  return 0;
}

int run_jsonl(std::istream& in, std::ostream& out, const std::function<std::string(const std::string&)>& answer) {
  return stream_jsonl(in, out, [&](const std::string& line) -> AnswerWriter {
    return [reply = answer(line)](std::ostream& to) { to << reply; };
  });
}

std::vector<TokenId> parse_ids(std::string_view text, std::string_view flag) {
  std::vector<TokenId> ids;
  const char* at = text.data();
  const char* const end = at + text.size();
  const auto separator = [](char c) { return c == ',' || c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
  while (at != end && (separator(*at) || *at == '[')) ++at;
  while (at != end && *at != ']') {
    TokenId id = 0;
    const auto [next, problem] = std::from_chars(at, end, id);
    if (problem != std::errc{} || id < 0 || (next != end && !separator(*next) && *next != ']'))
      throw Error(ErrorCode::kUsage, str(flag, ": token ids must be non-negative integers such as 1,2,3"),
                  std::string(flag));
    ids.push_back(id);
    at = next;
    while (at != end && separator(*at)) ++at;
  }
  if (ids.empty())
    throw Error(ErrorCode::kUsage, str(flag, ": give at least one token id, for example 1,2,3"), std::string(flag));
  return ids;
}

}  // namespace qwen
