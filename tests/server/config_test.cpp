#include "server/config.h"

#include <gtest/gtest.h>

#include <set>

namespace qwen {
namespace {

ConfigLayer environment(std::map<std::string, std::string> variables) {
  return environment_layer([&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

ConfigLayer flag(std::string_view name, const std::string& value, const std::string& origin) {
  ConfigLayer layer{ErrorCode::kUsage, {}};
  layer.entries[std::string(name)] = {value, origin};
  return layer;
}

TEST(Config, DefaultsAreTheGuides) {
  const ServiceConfig config = resolve_config({}).config;
  EXPECT_EQ(config.port, 8000);
  EXPECT_EQ(config.host, "0.0.0.0");
  EXPECT_EQ(config.default_max_length, 512);
  EXPECT_FLOAT_EQ(config.default_temperature, 0.7f);
  EXPECT_FLOAT_EQ(config.default_top_p, 0.9f);
}

TEST(Config, FlagsWinOverEnvironmentOverDefaults) {
  const std::vector<ConfigLayer> layers = {flag("server.port", "9001", "--port"),
                                           environment({{"PORT", "9000"}, {"HOST", "127.0.0.1"}, {"THREADS", ""}})};
  const EffectiveConfig effective = resolve_config(layers);
  EXPECT_EQ(effective.config.port, 9001);
  EXPECT_EQ(effective.config.host, "127.0.0.1");
  std::map<std::string_view, std::string> origins;
  for (const EffectiveValue& value : effective.values) origins[value.name] = value.origin;
  EXPECT_EQ(origins["server.port"], "--port");
  EXPECT_EQ(origins["server.host"], "HOST");
  EXPECT_EQ(origins["model.threads"], "default");
}

TEST(Config, AValueThatIsWrongOnlyLaterNamesItsOrigin) {
  const auto blamed = [](const std::vector<ConfigLayer>& layers) {
    const Error error = wrong_setting(resolve_config(layers).config, "engine.max_model_len", "is 9 but …");
    return std::make_pair(error.code(), std::string(error.what()));
  };
  const ConfigLayer variable = environment({{"MAX_MODEL_LEN", "9"}});
  EXPECT_EQ(blamed({flag("engine.max_model_len", "9", "--max-model-len"), variable}),
            std::make_pair(ErrorCode::kUsage, std::string("--max-model-len is 9 but …")));
  EXPECT_EQ(blamed({variable}), std::make_pair(ErrorCode::kConfig, std::string("MAX_MODEL_LEN is 9 but …")));
  EXPECT_EQ(blamed({}), std::make_pair(ErrorCode::kConfig, std::string("engine.max_model_len is 9 but …")));
}

TEST(Config, SynonymsInOrder) {
  EXPECT_FLOAT_EQ(resolve_config(std::vector{environment({{"TEMPERATURE", "0.5"}})}).config.default_temperature, 0.5f);
  EXPECT_FLOAT_EQ(resolve_config(std::vector{environment({{"TEMPERATURE", "0.5"}, {"DEFAULT_TEMPERATURE", "0.25"}})})
                      .config.default_temperature,
                  0.25f);
  EXPECT_EQ(resolve_config(std::vector{environment({{"BATCH_SIZE", "1"}})}).config.max_num_seqs, 1);
  EXPECT_EQ(resolve_config(std::vector{environment({{"MAX_LENGTH", "256"}})}).config.max_length, 256);
}

void expect_refused(const ConfigLayer& layer, ErrorCode code, const std::string& name) {
  try {
    resolve_config(std::vector{layer});
    FAIL() << name << " was accepted";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), code);
    EXPECT_NE(std::string(e.what()).find(name), std::string::npos) << e.what();
  }
}

TEST(Config, WrongValuesNameTheirOriginAndTheRange) {
  expect_refused(environment({{"PORT", "eighty"}}), ErrorCode::kConfig, "PORT");
  expect_refused(environment({{"PORT", "65536"}}), ErrorCode::kConfig, "65535");
  expect_refused(environment({{"PORT", "80 "}}), ErrorCode::kConfig, "PORT");
  expect_refused(flag("server.port", "99999", "--port"), ErrorCode::kUsage, "--port");
  expect_refused(environment({{"DEFAULT_TOP_P", "0"}}), ErrorCode::kConfig, "DEFAULT_TOP_P");
  expect_refused(environment({{"TEMPERATURE", "nan"}}), ErrorCode::kConfig, "TEMPERATURE");
  expect_refused(environment({{"TEMPERATURE", "0,7"}}), ErrorCode::kConfig, "TEMPERATURE");
  expect_refused(environment({{"QUANTIZATION_FORMAT", "int3"}}), ErrorCode::kConfig, "gptq");
  expect_refused(environment({{"LOG_LEVEL", "LOUD"}}), ErrorCode::kConfig, "WARNING");
  expect_refused(environment({{"KV_CACHE", "12 parsecs"}}), ErrorCode::kConfig, "KV_CACHE");
  expect_refused(environment({{"KV_CACHE_DTYPE", "int4"}}), ErrorCode::kConfig, "KV_CACHE_DTYPE");
  expect_refused(flag("server.prot", "1", "service_config.yaml:3"), ErrorCode::kUsage, "server.prot");
}

TEST(Config, SizesHaveUnits) {
  const auto bytes = [](const char* text) {
    return resolve_config(std::vector{environment({{"KV_CACHE", text}})}).config.kv_cache_bytes;
  };
  EXPECT_EQ(bytes("1000"), 1000u);
  EXPECT_EQ(bytes("8GiB"), size_t{8} << 30);
  EXPECT_EQ(bytes("512M"), size_t{512} << 20);
}

TEST(Config, NamesFlagsAndVariablesAreUnique) {
  std::set<std::string> names, flags, variables;
  for (const ConfigKey& key : config_keys()) {
    EXPECT_TRUE(names.insert(std::string(key.name)).second) << key.name;
    for (const std::string& synonym : words(key.synonyms)) EXPECT_TRUE(names.insert(synonym).second) << synonym;
    EXPECT_TRUE(key.flag.empty() || flags.insert(std::string(key.flag)).second) << key.flag;
    for (const std::string& variable : words(key.environment))
      EXPECT_TRUE(variables.insert(variable).second) << variable;
    EXPECT_FALSE(key.help.empty());
  }
}

TEST(Config, EveryDefaultIsAValueThatItsKeyTakes) {
  for (const ConfigKey& key : config_keys()) {
    const std::string value = default_value(key.name);
    if (value.empty()) continue;
    const EffectiveConfig effective = resolve_config(std::vector{flag(key.name, value, "--test")});
    for (const EffectiveValue& shown : effective.values) EXPECT_EQ(shown.value, default_value(shown.name)) << key.name;
  }
}

}  // namespace
}  // namespace qwen
