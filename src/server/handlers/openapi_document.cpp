#include "server/handlers/openapi_document.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "server/access/access_control.h"
#include "server/api/completion_types.h"
#include "server/config/value_text.h"
#include "server/handlers/page_assets.h"

namespace qwen {
namespace {

using Json = nlohmann::ordered_json;

Json parse_file() {
  const auto assets = page_assets();
  const auto file =
      std::find_if(assets.begin(), assets.end(), [](const PageAsset& a) { return a.path == "openapi.json"; });
  QWEN_CHECK(file != assets.end());
  return Json::parse(file->bytes);
}

Json reference(const std::string& kind, const std::string& name) {
  return {{"$ref", "#/components/" + kind + "/" + name}};
}

// 0.7f as 0.7.
Json shortest(float value) { return Json::parse(to_text(value)); }

void set_configured(Json& document, const ServiceConfig& config) {
  const auto set = [&](const char* place, Json value) { document.at(Json::json_pointer(place)) = std::move(value); };
  set("/info/version", QWEN_VERSION);
  const int new_tokens =
      config.max_length > 0 ? std::min(config.default_max_length, config.max_length) : config.default_max_length;
  for (const std::string request : {"GenerateRequest", "BatchGenerateRequest"}) {
    const std::string fields = "/components/schemas/" + request + "/properties/";
    set((fields + "max_length/default").c_str(), new_tokens);
    set((fields + "temperature/default").c_str(), shortest(config.default_temperature));
    set((fields + "top_p/default").c_str(), shortest(config.default_top_p));
  }
  set("/components/schemas/ThinkingRequest/properties/max_length/default", new_tokens);
  set("/components/schemas/CompletionRequest/properties/max_tokens/default", kDefaultCompletionTokens);
  set("/components/schemas/BatchGenerateRequest/properties/prompts/maxItems", config.max_batch_prompts);
  for (const char* shape : {"2", "3"})
    set(str("/components/schemas/CompletionRequest/properties/prompt/anyOf/", shape, "/maxItems").c_str(),
        config.max_batch_prompts);
  set("/components/schemas/DeadlineMs/default",
      std::chrono::duration_cast<std::chrono::milliseconds>(config.request_timeout).count());
}

void add_headers(Json& response, std::initializer_list<const char*> names) {
  Json& headers = response["headers"];
  for (const char* name : names)
    if (!headers.contains(name)) headers[name] = reference("headers", name);
}

void add_rate_headers(Json& response) {
  add_headers(response, {"x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests",
                         "x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"});
}

void add_access(Json& operation, Access access) {
  operation["security"] = Json::array();
  if (access == Access::kOpen) return;
  if (access != Access::kPage) operation["x-scope"] = scope_name(access);
  // The empty one: where no keys are configured, or the route is among the open ones, none is needed.
  for (const char* scheme : {"bearer", "api_key"}) operation["security"].push_back({{scheme, Json::array()}});
  operation["security"].push_back(Json::object());
}

// How any route with these properties can fail, where the file does not say more of it.
void add_failures(Json& responses, const Route& route) {
  const bool keyed = route.access != Access::kOpen, body = route.max_body_bytes > 0;
  const struct {
    const char *status, *name;
    bool possible;
  } failures[] = {{"400", "BadRequest", true},
                  {"401", "Unauthorized", keyed},
                  {"403", "Forbidden", keyed},
                  {"408", "RequestTimeout", true},
                  {"413", "TooLarge", true},
                  {"414", "UriTooLong", true},
                  {"415", "UnsupportedMediaType", body},
                  {"429", "RateLimited", route.access == Access::kUser},
                  {"431", "HeaderTooLarge", true},
                  {"500", "InternalError", true},
                  {"503", "Unavailable", true},
                  {"504", "DeadlineExceeded", body}};
  for (const auto& failure : failures)
    if (failure.possible && !responses.contains(failure.status))
      responses[failure.status] = reference("responses", failure.name);
}

void complete_operation(Json& operation, const Route& route) {
  Json& parameters = operation["parameters"];  // before what refers into the operation: a new member moves the others
  Json& responses = operation.at("responses");
  parameters.push_back(reference("parameters", "X-Request-Id"));
  if (responses.at("200").value("headers", Json()).contains("X-Cache"))
    parameters.push_back(reference("parameters", "Cache-Control"));
  if (route.access == Access::kUser) add_rate_headers(responses.at("200"));
  for (Json& response : responses)
    if (!response.contains("$ref")) add_headers(response, {"X-Request-Id"});
  add_failures(responses, route);
  add_access(operation, route.access);
  if (route.max_body_bytes > 0) operation["x-max-body"] = route.max_body_bytes;
}

const Route* find_route(const RouteTable& routes, std::string method, const std::string& path) {
  std::transform(method.begin(), method.end(), method.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? c - 32 : c; });
  const std::string pattern = route_pattern(path);
  const auto& rows = routes.routes();
  const auto row = std::find_if(rows.begin(), rows.end(),
                                [&](const Route& route) { return route.method == method && route.path == pattern; });
  return row == rows.end() ? nullptr : &*row;
}

}  // namespace

std::string route_pattern(const std::string& documented_path) {
  std::string pattern;
  for (size_t at = 0; at < documented_path.size(); ++at) {
    if (documented_path[at] != '{') {
      pattern += documented_path[at];
      continue;
    }
    pattern += '*';
    at = std::min(documented_path.find('}', at), documented_path.size());
  }
  return pattern;
}

std::string openapi_document(const RouteTable& routes, const ServiceConfig& config) {
  Json document = parse_file();
  set_configured(document, config);
  Json paths = Json::object();
  for (auto& [path, methods] : document.at("paths").items())
    for (auto& [method, operation] : methods.items())
      if (const Route* route = find_route(routes, method, path)) {
        complete_operation(operation, *route);
        paths[path][method] = std::move(operation);
      }
  document["paths"] = std::move(paths);
  Json& responses = document.at("components").at("responses");
  for (Json& response : responses) add_headers(response, {"X-Request-Id"});
  add_rate_headers(responses.at("RateLimited"));
  return document.dump();
}

}  // namespace qwen
