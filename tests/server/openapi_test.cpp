// web/openapi.json beside the code: the routes and how they fail beside the route table, each field beside the parser
// that reads it, from both sides.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "server/api/chat_types.h"
#include "server/api/completion_types.h"
#include "server/api/errors.h"
#include "server/api/native_types.h"
#include "server/api/request_json.h"
#include "server/api/thinking_types.h"
#include "server/api/tokenize_types.h"
#include "server/control/running_requests.h"
#include "server/handlers/handlers.h"
#include "server/handlers/openapi_document.h"
#include "server/service_monitor.h"
#include "support/json_schema.h"

namespace qwen::test {
namespace {

using nlohmann::json;

struct Routes {
  explicit Routes(const ServiceConfig& settings = {}) : config(settings), table(make_routes(context)) {}
  ServiceConfig config;
  GenerationService service;
  ServiceMonitor monitor{service};
  WorkerPool workers{1, 1};
  RunningRequests running;
  HandlerContext context{config, service, workers, &monitor, nullptr, &running};
  RouteTable table;

  json document() const { return json::parse(openapi_document(table, config)); }
};

json file_as_written() {
  std::ifstream file(std::string(QWEN_SOURCE_DIR) + "/web/openapi.json");
  return json::parse(file);
}

const json& document() {
  static const json kDocument = Routes().document();
  return kDocument;
}
JsonSchemas schemas() { return JsonSchemas(document()); }

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return text;
}

// --- Routes

TEST(OpenApi, HasEveryRouteOfTheTableAndNoOther) {
  const Routes routes;
  std::set<std::string> documented, served;
  for (const auto& [path, methods] : document()["paths"].items())
    for (const auto& [method, operation] : methods.items()) documented.insert(method + " " + route_pattern(path));
  for (const Route& route : routes.table.routes())
    if (route.access != Access::kPage) served.insert(lower(route.method) + " " + route.path);
  EXPECT_EQ(documented, served) << "a route that is missing here has no entry in web/openapi.json";
  EXPECT_EQ(document()["paths"].size(), file_as_written()["paths"].size()) << "web/openapi.json has a path too many";
}

TEST(OpenApi, SaysWhoMayCallAndHowARouteFails) {
  const Routes routes;
  for (const auto& [path, methods] : document()["paths"].items())
    for (const auto& [method, operation] : methods.items()) {
      std::string capitals = method == "get" ? "GET" : "POST";
      const Route& route = *routes.table.find(capitals, route_pattern(path)).route;
      const json& answers = operation["responses"];
      const auto fails_with = [&](const char* status) { return answers.contains(status); };
      for (const char* always : {"200", "400", "408", "413", "414", "431", "500", "503"})
        EXPECT_TRUE(fails_with(always)) << path << ' ' << always;
      const bool keyed = route.access != Access::kOpen, body = route.max_body_bytes > 0;
      EXPECT_EQ(fails_with("401"), keyed) << path;
      EXPECT_EQ(fails_with("403"), keyed) << path;
      EXPECT_EQ(fails_with("429"), route.access == Access::kUser) << path;
      EXPECT_EQ(fails_with("415"), body) << path;
      EXPECT_EQ(fails_with("504"), body) << path;
      EXPECT_EQ(operation.contains("requestBody"), body) << path;
      const json fields = body ? schemas().resolve(operation.at(
                                     "/requestBody/content/application~1json/schema"_json_pointer))["properties"]
                               : json::object();
      EXPECT_EQ(fails_with("404"), fields.contains("model") || path.find('{') != std::string::npos) << path;
      EXPECT_EQ(operation["security"].empty(), !keyed) << path;
      const bool generates = route.access == Access::kUser || route.access == Access::kControl;
      EXPECT_EQ(operation.value("x-scope", ""), generates                          ? "generate"
                                                : route.access == Access::kMetrics ? "metrics"
                                                                                   : "")
          << path;
      EXPECT_TRUE(operation["responses"]["200"]["headers"].contains("X-Request-Id")) << path;
    }
}

TEST(OpenApi, LeavesOutWhatIsSwitchedOff) {
  ServiceConfig config;
  config.enable_metrics = false;
  EXPECT_FALSE(Routes(config).document()["paths"].contains("/metrics"));
}

TEST(OpenApi, HasTheConfigurationsValues) {
  EXPECT_EQ(document()["components"]["schemas"], file_as_written()["components"]["schemas"])
      << "web/openapi.json does not have the defaults of a service that nobody configured";
  ServiceConfig config;
  config.max_batch_prompts = 3;
  config.default_max_length = 100;
  config.max_length = 50;
  config.default_temperature = 0.3f;
  config.default_top_p = 0.25f;
  config.request_timeout = std::chrono::seconds(7);
  const json changed = Routes(config).document()["components"]["schemas"];
  for (const char* request : {"GenerateRequest", "BatchGenerateRequest"}) {
    const json& fields = changed[request]["properties"];
    EXPECT_EQ(fields["max_length"]["default"], 50);
    EXPECT_EQ(fields["temperature"]["default"].dump(), "0.3");
    EXPECT_EQ(fields["top_p"]["default"].dump(), "0.25");
  }
  EXPECT_EQ(changed["BatchGenerateRequest"]["properties"]["prompts"]["maxItems"], 3);
  EXPECT_EQ(changed["CompletionRequest"]["properties"]["prompt"]["anyOf"][3]["maxItems"], 3);
  EXPECT_EQ(changed["DeadlineMs"]["default"], 7000);
}

void collect_references(const json& value, std::set<std::string>& found) {
  if (value.is_object() && value.contains("$ref")) found.insert(value["$ref"]);
  if (value.is_structured())
    for (const json& member : value) collect_references(member, found);
}

TEST(OpenApi, NamesNothingThatIsNotThereAndHoldsNothingThatNobodyNames) {
  std::set<std::string> named;
  collect_references(document(), named);
  for (const std::string& reference : named)
    EXPECT_TRUE(document().contains(json::json_pointer(reference.substr(1)))) << reference;
  for (const char* kind : {"schemas", "responses", "headers", "parameters"})
    for (const auto& [name, unused] : document()["components"][kind].items())
      EXPECT_TRUE(named.count(std::string("#/components/") + kind + "/" + name)) << kind << ' ' << name;
  std::set<std::string> ids, tags;
  for (const json& tag : document()["tags"]) tags.insert(tag["name"]);
  for (const json& methods : document()["paths"])
    for (const json& operation : methods) {
      EXPECT_TRUE(ids.insert(operation["operationId"]).second) << operation["operationId"];
      EXPECT_TRUE(tags.count(operation["tags"][0])) << operation["tags"];
      EXPECT_FALSE(operation["summary"].get<std::string>().empty());
    }
}

// --- Fields

using Parse = void (*)(const JsonValue&);
const std::map<std::string, Parse> kParsers = {
    {"/generate", [](const JsonValue& body) { parse_generate_request(body); }},
    {"/thinking", [](const JsonValue& body) { parse_thinking_request(body); }},
    {"/batch_generate",
     [](const JsonValue& body) { parse_batch_generate_request(body, ServiceConfig().max_batch_prompts); }},
    {"/v1/chat/completions", [](const JsonValue& body) { parse_chat_request(body); }},
    {"/v1/completions",
     [](const JsonValue& body) { parse_completion_request(body, ServiceConfig().max_batch_prompts); }},
    {"/tokenize", [](const JsonValue& body) { parse_tokenize_request(body); }},
    {"/detokenize", [](const JsonValue& body) { parse_detokenize_request(body); }},
    {"/apply-template", [](const JsonValue& body) { parse_apply_template_request(body); }},
};

struct Verdict {
  bool accepted = true;
  std::string code, param;
};
Verdict verdict(const std::string& path, const json& body) {
  try {
    kParsers.at(path)(parse_request(body.dump()));
    return {};
  } catch (const Error&) {
    const ApiError error = to_api_error(std::current_exception(), "id");
    EXPECT_EQ(error.status, 400) << path << ' ' << body.dump().substr(0, 200);
    return {false, error.code, error.param};
  }
}

struct BodyOf {
  std::string path;
  json schema, example;
};
std::vector<BodyOf> bodies() {
  std::vector<BodyOf> found;
  for (const auto& [path, methods] : document()["paths"].items())
    if (methods.contains("post") && methods["post"].contains("requestBody")) {
      const json& content = methods["post"]["requestBody"]["content"]["application/json"];
      found.push_back({path, schemas().resolve(content["schema"]), content["example"]});
    }
  return found;
}

const json kConversation = json::array({{{"role", "user"}, {"content", "a"}}});

// A body that is accepted and to which `field` may be added: what else it needs, or needs not to be there.
json body_for(const BodyOf& route, const std::string& field, const json& value) {
  json body = route.example;
  const bool template_field = document()["components"]["schemas"]["ApplyTemplateRequest"]["properties"].contains(field);
  if (route.path == "/tokenize" && field != "model" && (template_field || field == "content")) body.erase("prompt");
  if (route.path == "/tokenize" && field != "model" && template_field) body["messages"] = kConversation;
  const bool native = route.path == "/generate" || route.path == "/batch_generate";
  if (native && (field.find("budget") != std::string::npos || field == "thinking_time_ms")) body["thinking"] = true;
  if (native) body.erase("max_length");  // beside its own synonyms
  if (field == "max_length") body.erase("max_tokens");
  if (field == "stream_options") body["stream"] = true;
  if (field == "best_of" && value.is_number_integer() && value >= 1 && value <= kMaxChoices) body["n"] = value;
  if (field == "tools" && route.path == "/v1/chat/completions" && value.is_array() && !value.empty())
    body["tool_choice"] = "none";
  body[field] = value;
  return body;
}

// Where the parser takes more than the document promises: what is no value to it, or what it does not look at.
bool more_lenient(const std::string& path, const std::string& field, const json& value) {
  if (path == "/v1/chat/completions" && field == "tools") return value.is_array();  // left out unread
  return false;
}

TEST(OpenApi, EveryBodyHasAParserAndAnExampleThatIsAccepted) {
  for (const BodyOf& route : bodies()) {
    ASSERT_TRUE(kParsers.count(route.path)) << route.path << ": add its parser here";
    EXPECT_TRUE(verdict(route.path, route.example).accepted) << route.path;
    EXPECT_TRUE(schemas().allows(route.schema, route.example)) << route.path;
  }
  EXPECT_EQ(bodies().size(), kParsers.size());
}

// At each bound and beyond it, and with values of every kind, the parser says what the document says.
TEST(OpenApi, EveryFieldTakesWhatIsDocumentedAndNothingElse) {
  int accepted = 0, refused = 0;
  for (const BodyOf& route : bodies())
    for (const auto& [field, schema] : route.schema["properties"].items())
      for (const json& value : schemas().samples(schema)) {
        const json body = body_for(route, field, value);
        const Verdict told = verdict(route.path, body);
        const bool required = value == nullptr && route.path == "/tokenize" &&
                              (field == "prompt" || field == "content" || field == "messages");
        if (required) continue;  // one of the three
        const std::string what = route.path + " " + field + " " + value.dump().substr(0, 100);
        if (told.accepted) {
          EXPECT_TRUE(schemas().allows(schema, value) || more_lenient(route.path, field, value)) << what;
          ++accepted;
        } else {
          EXPECT_FALSE(schemas().allows(schema, value)) << what << ": " << told.code << ' ' << told.param;
          EXPECT_EQ(told.param.substr(0, field.size()), field) << what;
          ++refused;
        }
      }
  EXPECT_GT(accepted, 500);
  EXPECT_GT(refused, 2000);
}

TEST(OpenApi, EveryFieldIsDescribed) {
  for (const BodyOf& route : bodies())
    for (const auto& [field, schema] : route.schema["properties"].items()) {
      const std::string text = schemas().resolve(schema).value("description", "");
      EXPECT_FALSE(text.empty()) << route.path << ' ' << field;
      EXPECT_LT(text.size(), 160u) << route.path << ' ' << field << " is said in more than a line";
    }
}

// Every word in quotes that the code which reads requests holds: a field that it reads is among them.
std::set<std::string> words_of_the_parsers() {
  std::set<std::string> words;
  const std::regex quoted("\"([a-z][a-z0-9_]*)\"");
  for (const auto& entry : std::filesystem::directory_iterator(std::string(QWEN_SOURCE_DIR) + "/src/server/api")) {
    std::ostringstream text;
    text << std::ifstream(entry.path()).rdbuf();
    const std::string source = text.str();
    for (std::sregex_iterator it(source.begin(), source.end(), quoted), end; it != end; ++it) words.insert((*it)[1]);
  }
  EXPECT_GT(words.size(), 150u);
  return words;
}

// Whether the parser looks at this member of `outer` (empty: of the body itself).
bool looks_at(const BodyOf& route, const std::string& outer, const json& around, const std::string& name) {
  static const std::vector<json> kStrange = {-3.5, true, false, "~", json::array({json::array()}), json{{"~", 1}}};
  for (const json& value : kStrange) {
    json inner = around;
    inner[name] = value;
    const json body = outer.empty() ? inner : body_for(route, outer, inner);
    const Verdict told = verdict(route.path, body);
    const std::string path = outer.empty() ? name : outer + "." + name;
    if (!told.accepted && told.code != "unknown_parameter" && told.param.rfind(path, 0) == 0) return true;
  }
  return false;
}

TEST(OpenApi, EveryFieldThatAParserLooksAtIsDocumented) {
  const std::set<std::string> words = words_of_the_parsers();
  for (const BodyOf& route : bodies()) {
    std::vector<json> around = {route.example};
    if (route.path == "/tokenize") around.push_back({{"messages", kConversation}});
    const json& documented = route.schema["properties"];
    for (const std::string& word : words)
      for (const json& body : around) {
        if (documented.contains(word)) continue;
        EXPECT_FALSE(looks_at(route, "", body, word)) << route.path << " reads " << word;
        json with = body;
        with[word] = nullptr;
        const bool strict = !route.schema.value("additionalProperties", true);
        EXPECT_EQ(verdict(route.path, with).code, strict ? "unknown_parameter" : "") << route.path << ' ' << word;
      }
  }
}

TEST(OpenApi, EveryMemberOfAMemberIsDocumented) {
  const std::set<std::string> words = words_of_the_parsers();
  for (const BodyOf& route : bodies())
    for (const auto& [outer, around] : std::map<std::string, json>{{"chat_template_kwargs", json::object()},
                                                                   {"custom_params", json::object()},
                                                                   {"stream_options", json::object()},
                                                                   {"thinking", {{"type", "enabled"}}}}) {
      const json schema = schemas().resolve(route.schema["properties"].value(outer, json::object()));
      json documented = schema.value("properties", json::object());
      for (const json& branch : schema.value("anyOf", json::array()))
        documented.update(branch.value("properties", json::object()));
      for (const std::string& word : words) {
        if (documented.contains(word)) continue;
        EXPECT_FALSE(looks_at(route, outer, around, word)) << route.path << " reads " << outer << '.' << word;
      }
    }
}

}  // namespace
}  // namespace qwen::test
