#include "support/json_schema.h"

#include <cmath>
#include <regex>
#include <set>
#include <stdexcept>

namespace qwen::test {
namespace {

using nlohmann::json;

bool has_type(const json& value, const std::string& type) {
  if (type == "null") return value.is_null();
  if (type == "boolean") return value.is_boolean();
  if (type == "string") return value.is_string();
  if (type == "array") return value.is_array();
  if (type == "object") return value.is_object();
  if (type == "number") return value.is_number();
  if (type == "integer") return value.is_number() && std::trunc(value.get<double>()) == value.get<double>();
  throw std::logic_error("unknown type " + type);
}

std::vector<std::string> types_of(const json& schema) {
  if (!schema.contains("type")) return {};
  if (schema["type"].is_string()) return {schema["type"]};
  return schema["type"];
}

bool allows_type(const json& schema, const char* type) {
  const auto types = types_of(schema);
  return std::find(types.begin(), types.end(), type) != types.end();
}

size_t size_of(const json& value) { return value.is_string() ? value.get<std::string>().size() : value.size(); }

bool whole(double bound) { return std::abs(bound) < 9e15; }  // beyond, a double is not that number

}  // namespace

json JsonSchemas::resolve(const json& schema) const {
  if (!schema.is_object() || !schema.contains("$ref")) return schema;
  json found = resolve(document_.at(json::json_pointer(schema["$ref"].get<std::string>().substr(1))));
  for (const auto& [key, value] : schema.items())
    if (key != "$ref") found[key] = value;
  return found;
}

bool JsonSchemas::allows(const json& raw, const json& value) const {
  const json schema = resolve(raw);
  const auto holds = [&](const std::string& key, const json& rule) -> bool {
    static const std::set<std::string> kSaysNothing = {"description", "default", "examples", "format", "then", "else"};
    if (kSaysNothing.count(key)) return true;
    if (key == "type") {
      const auto types = types_of(schema);
      return std::any_of(types.begin(), types.end(), [&](const std::string& type) { return has_type(value, type); });
    }
    if (key == "const") return value == rule;
    if (key == "enum") return std::find(rule.begin(), rule.end(), value) != rule.end();
    if (key == "anyOf")
      return std::any_of(rule.begin(), rule.end(), [&](const json& branch) { return allows(branch, value); });
    if (key == "if") {
      const char* const branch = allows(rule, value) ? "then" : "else";
      return !schema.contains(branch) || allows(schema[branch], value);
    }
    if (key == "minimum") return !value.is_number() || value >= rule;
    if (key == "maximum") return !value.is_number() || value <= rule;
    if (key == "exclusiveMinimum") return !value.is_number() || value > rule;
    if (key == "minLength") return !value.is_string() || size_of(value) >= rule;
    if (key == "maxLength") return !value.is_string() || size_of(value) <= rule;
    if (key == "pattern")
      return !value.is_string() ||
             std::regex_search(value.get<std::string>(), std::regex(rule.get<std::string>(), std::regex::ECMAScript));
    if (key == "minItems") return !value.is_array() || size_of(value) >= rule;
    if (key == "maxItems") return !value.is_array() || size_of(value) <= rule;
    if (key == "minProperties") return !value.is_object() || size_of(value) >= rule;
    if (key == "maxProperties") return !value.is_object() || size_of(value) <= rule;
    if (key == "items")
      return !value.is_array() ||
             std::all_of(value.begin(), value.end(), [&](const json& item) { return allows(rule, item); });
    if (key == "required")
      return !value.is_object() ||
             std::all_of(rule.begin(), rule.end(), [&](const json& name) { return value.contains(name); });
    if (!value.is_object() && (key == "properties" || key == "additionalProperties" || key == "propertyNames"))
      return true;
    for (const auto& [name, member] : value.items()) {
      const bool known = schema.contains("properties") && schema["properties"].contains(name);
      if (key == "properties") {
        if (known && !allows(rule[name], member)) return false;
      } else if (key == "additionalProperties") {
        if (!known && (rule == false || !allows(rule, member))) return false;
      } else if (key == "propertyNames") {
        if (!allows(rule, name)) return false;
      } else {
        throw std::logic_error("unknown keyword " + key);
      }
    }
    if (key != "properties" && key != "additionalProperties" && key != "propertyNames")
      throw std::logic_error("unknown keyword " + key);
    return true;
  };
  for (const auto& [key, rule] : schema.items())
    if (!holds(key, rule)) return false;
  return true;
}

json JsonSchemas::example(const json& raw) const {
  const json schema = resolve(raw);
  if (schema.contains("examples")) return schema["examples"][0];
  for (const json& value : samples(schema))
    if (!value.is_null() && allows(schema, value)) return value;
  throw std::logic_error("no example of " + schema.dump());
}

json JsonSchemas::least_object(const json& schema) const {
  json object = json::object();
  for (const json& name : schema.value("required", json::array()))
    object[name.get<std::string>()] = example(schema.at("properties").at(name.get<std::string>()));
  return object;
}

void JsonSchemas::add_scalars(const json& schema, std::vector<json>& values) const {
  for (const char* key : {"enum", "examples"})
    for (const json& value : schema.value(key, json::array())) values.push_back(value);
  if (schema.contains("const")) values.push_back(schema["const"]);
  const double step = allows_type(schema, "integer") ? 1 : 0.005;
  for (const auto& [key, outwards] : {std::pair("minimum", -step), std::pair("maximum", step)}) {
    if (!schema.contains(key)) continue;
    values.push_back(schema[key]);
    const double beyond = schema[key].get<double>() + outwards;
    if (allows_type(schema, "integer") && whole(beyond))
      values.push_back(static_cast<int64_t>(beyond));
    else if (allows_type(schema, "number"))
      values.push_back(beyond);
  }
  if (schema.contains("exclusiveMinimum")) {
    values.push_back(schema["exclusiveMinimum"]);
    values.push_back(schema["exclusiveMinimum"].get<double>() + step);
  }
  if (schema.contains("maxLength"))
    for (const size_t more : {0, 1}) values.push_back(std::string(schema["maxLength"].get<size_t>() + more, 'a'));
}

void JsonSchemas::add_lists(const json& schema, std::vector<json>& values) const {
  if (!schema.contains("items")) return;
  const json item = example(schema["items"]);
  values.push_back(json::array({item}));
  for (const json& one : samples(schema["items"])) values.push_back(json::array({one}));
  if (schema.contains("maxItems"))
    for (const size_t more : {0, 1}) values.push_back(json(schema["maxItems"].get<size_t>() + more, item));
}

// Each member alone beside those that must be there. Where one decides about others, only what is allowed.
void JsonSchemas::add_objects(const json& schema, std::vector<json>& values) const {
  if (!schema.contains("properties") && !schema.contains("maxProperties")) return;
  const json least = least_object(schema), properties = schema.value("properties", json::object());
  values.push_back(least);
  for (const auto& [name, property] : properties.items())
    for (const json& value : samples(property)) {
      json object = least;
      object[name] = value;
      if (!schema.contains("if") || allows(schema, object)) values.push_back(object);
    }
  if (const auto more = schema.find("additionalProperties"); more != schema.end() && more->is_object())
    for (const json& value : samples(*more)) values.push_back({{"5", value}});
  if (schema.contains("maxProperties"))
    for (const int beyond : {0, 1}) {
      json object = least;
      for (int i = 0; i < schema["maxProperties"].get<int>() + beyond; ++i) object[std::to_string(i)] = 1;
      values.push_back(object);
    }
}

std::vector<json> JsonSchemas::samples(const json& raw) const {
  const json schema = resolve(raw);
  std::vector<json> values = {nullptr,
                              true,
                              false,
                              0,
                              1,
                              -5,
                              0.5,
                              1e12,
                              "a",
                              "",
                              "zzz",
                              json::array(),
                              json::object(),
                              json::array({"a", 1}),
                              json::array({json::array({"x"})}),
                              json{{"x", json::object()}}};
  add_scalars(schema, values);
  add_lists(schema, values);
  add_objects(schema, values);
  for (const json& branch : schema.value("anyOf", json::array()))
    for (const json& value : samples(branch)) values.push_back(value);
  return values;
}

}  // namespace qwen::test
