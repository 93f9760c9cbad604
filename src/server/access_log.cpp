#include "server/access_log.h"

#include <cstdio>

#include "base/log.h"
#include "server/api/json_writer.h"

namespace qwen {
namespace {

constexpr int kDigits = 6;

std::string seconds(double value) {
  char text[400];  // as long as the largest double
  std::snprintf(text, sizeof text, "%.*f", kDigits, value);
  return text;
}

bool generated(const AccessRecord& record) { return record.tokens.prompt > 0; }

}  // namespace

std::string access_line(const AccessRecord& record) {
  std::string line;
  line.reserve(160);
  line.append(record.method).append(" ").append(record.path).append(" status ").append(std::to_string(record.status));
  if (!record.code.empty()) line.append(" ").append(record.code);
  line.append(" id ").append(record.request_id).append(" client ").append(record.client);
  if (!record.key_name.empty()) line.append(" key ").append(record.key_name);
  line.append(" bytes ").append(std::to_string(record.bytes_out));
  if (generated(record)) {
    line.append(" prompt_tokens ").append(std::to_string(record.tokens.prompt));
    line.append(" completion_tokens ").append(std::to_string(record.tokens.completion));
  }
  if (!record.tokens.cache.empty()) {
    line.append(" cache ").append(record.tokens.cache);
    line.append(" cache_tokens ").append(std::to_string(record.tokens.cached));
  }
  line.append(" response_time ").append(seconds(record.seconds));
  return line;
}

std::string access_members(const AccessRecord& record) {
  JsonWriter json;
  json.begin_object();
  json.field("msg", "access").field("method", record.method).field("route", record.path);
  json.field("status", record.status);
  if (!record.code.empty()) json.field("code", record.code);
  json.field("request_id", record.request_id).field("client", record.client);
  if (!record.key_name.empty()) json.field("key", record.key_name);
  json.field("bytes", record.bytes_out);
  if (generated(record))
    json.field("prompt_tokens", record.tokens.prompt).field("completion_tokens", record.tokens.completion);
  if (!record.tokens.cache.empty())
    json.field("cache", record.tokens.cache).field("cache_tokens", record.tokens.cached);
  json.key("response_time").fixed(record.seconds, kDigits);
  json.end_object();
  const std::string object = json.take();
  return object.substr(1, object.size() - 2);
}

void write_access_log(const AccessRecord& record) {
  log_access(access_line(record), access_wants_members() ? access_members(record) : std::string());
}

}  // namespace qwen
