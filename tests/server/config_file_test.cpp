// Configuration files: which are read, and what is made of their text.
#include "server/config/config_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "server/config/config_faults.h"
#include "server/config/yaml_settings.h"
#include "support/expect_error.h"
#include "support/scratch_folder.h"

namespace qwen {
namespace {

testing::AssertionResult refused(const std::string& text, std::string_view words) {
  return fails_with([&] { resolve_config(std::vector{parse_config(text, "f.yaml")}); }, ErrorCode::kConfig, words);
}

ServiceConfig config_of(const std::string& text) {
  return resolve_config(std::vector{parse_config(text, "f.yaml")}).config;
}

const char* no_variable(const char*) { return nullptr; }

TEST(ConfigFile, TheFilesThatCome) {
  const std::string folder = std::string(QWEN_SOURCE_DIR) + "/configs";
  std::vector<ConfigLayer> layers;
  for (const std::string& file : find_config_files({folder}, no_variable))
    layers.insert(layers.begin(), read_config_file(file));
  ASSERT_EQ(layers.size(), 2u);
  const ServiceConfig config = resolve_config(layers).config;
  EXPECT_EQ(config.model_name, "Qwen3-4B-Thinking");
  EXPECT_EQ(config.model_path, ServiceConfig().model_path);
  EXPECT_EQ(config.quantization_format, "int8");
  EXPECT_EQ(config.max_length, 2048);
  EXPECT_EQ(config.max_num_seqs, 4);
  EXPECT_EQ(config.request_timeout.count(), 300);
  EXPECT_EQ(config.log_format, ServiceConfig().log_format);
  EXPECT_EQ(config.log_file, "/app/logs/service.log");
  EXPECT_EQ(config.metrics_port, 9090);
  EXPECT_EQ(config.health_check_interval.count(), 30);
  EXPECT_TRUE(config.gradient_checkpointing);
}

// Every comment of a file that looks like a key names one, with a value that it takes; the two show every key.
TEST(ConfigFile, TheKeysInTheirCommentsAreRightAndAll) {
  std::set<std::string> shown;
  for (const char* name : {"model_config.yaml", "service_config.yaml"}) {
    const std::string path = std::string(QWEN_SOURCE_DIR) + "/configs/" + name;
    std::ifstream in(path);
    std::string text;
    for (std::string line; std::getline(in, line);) {
      const size_t hash = line.find("# ");
      const bool indented = hash != line.npos && line.find_first_not_of(' ') == hash;
      const std::string bare = indented ? line.substr(0, hash) + line.substr(hash + 2) : line;
      const size_t colon = bare.find(':');
      const bool key = colon != bare.npos && bare.find_first_not_of("abcdefghijklmnopqrstuvwxyz_ ") == colon &&
                       bare.find(' ', bare.find_first_not_of(' ')) > colon;
      if (key) text += bare + '\n';
    }
    EXPECT_NO_THROW(config_of(text)) << text;
    const auto settings = read_yaml_settings(text, name);
    EXPECT_GT(settings.size(), 30u);
    for (const YamlSetting& setting : settings) shown.insert(setting.path);
  }
  for (const ConfigKey& key : config_keys()) {
    const auto synonyms = words(key.synonyms);
    const auto in_a_file = [&](const std::string& one) {
      return std::any_of(shown.begin(), shown.end(),
                         [&](const auto& path) { return (path + '.').starts_with(one + '.'); });
    };
    const bool there = in_a_file(std::string(key.name)) || std::any_of(synonyms.begin(), synonyms.end(), in_a_file);
    EXPECT_TRUE(there) << key.name << " is in neither file";
  }
}

TEST(ConfigFile, AnOriginHasFileAndLine) {
  const EffectiveConfig effective = resolve_config(std::vector{parse_config("server:\n  port: 81\n", "f.yaml")});
  for (const EffectiveValue& value : effective.values) {
    if (value.name != "server.port") continue;
    EXPECT_EQ(value.origin, "f.yaml:2");
    EXPECT_EQ(value.subject, "f.yaml:2: server.port");
  }
  EXPECT_TRUE(refused("server:\n\n  port: eighty", "f.yaml:3: server.port is \"eighty\" but must be a whole number"));
}

TEST(ConfigFile, AnUnknownKeyNamesTheOneThatWasMeant) {
  EXPECT_TRUE(refused("server:\n  prot: 1", "f.yaml:2: there is no key \"server.prot\"; did you mean server.port?"));
  EXPECT_TRUE(refused("temperature: 1", "did you mean inference.temperature?"));
  EXPECT_TRUE(refused("modle:\n  path: x", "did you mean model.path?"));
  EXPECT_TRUE(refused("inference:\n  batchsize: 1", "did you mean inference.batch_size?"));
  EXPECT_TRUE(refused("thinking:\n  zzz: 1", "; thinking has tokens_per_depth"));
  EXPECT_TRUE(refused("zzz: 1", "; there is api_keys, batch_config, "));
  EXPECT_TRUE(refused("servers:", "there is no key \"servers\"; did you mean server?"));
  EXPECT_TRUE(refused("api_key: x", "did you mean api_keys?"));
  EXPECT_TRUE(refused("server: 8000", "there is no key \"server\"; there is api_keys"));
  EXPECT_TRUE(refused("servr:\n  hosst: x", "did you mean server.host?"));
}

TEST(ConfigFile, AKeyWithoutValueIsNotSet) {
  const ConfigLayer layer = parse_config("server:\n  port:\n  host: ~\nlogging:\nthinking: {}\n", "f.yaml");
  EXPECT_TRUE(layer.entries.empty());
  EXPECT_TRUE(parse_config("", "f.yaml").entries.empty());
  EXPECT_TRUE(parse_config("# nothing\n", "f.yaml").entries.empty());
}

TEST(ConfigFile, NamesThatMeanTheSame) {
  EXPECT_EQ(config_of("inference:\n  batch_size: 3").max_num_seqs, 3);
  EXPECT_EQ(config_of("BATCH_CONFIG: {\"max_batch_size\": 8, \"batch_timeout\": 100}").max_num_seqs, 8);
  EXPECT_EQ(config_of("server.port: 82").port, 82);
  EXPECT_EQ(config_of("engine: {max_num_seqs: 3}\ninference: {batch_size: 3}").max_num_seqs, 3);
  EXPECT_TRUE(refused("engine:\n  max_num_seqs: 2\ninference:\n  batch_size: 3",
                      "f.yaml:4: inference.batch_size and f.yaml:2: engine.max_num_seqs are the same setting"));
}

TEST(ConfigFile, SwitchesThatAreOff) {
  EXPECT_EQ(config_of("model: {quantization: {format: int4, enable: false}}").quantization_format, "none");
  EXPECT_EQ(config_of("model: {quantization: {format: int4, enable: True}}").quantization_format, "int4");
  EXPECT_EQ(config_of("batch_config: {max_batch_size: 8, enable_dynamic_batching: false}").max_num_seqs, 1);
  EXPECT_TRUE(
      refused("model: {quantization: {enable: maybe}}", "model.quantization.enable is \"maybe\" but must be true"));
  ConfigLayer flag{ErrorCode::kUsage, {}};
  flag.entries["model.quantization.format"] = {"int4", "--quantization", ""};
  const std::vector<ConfigLayer> layers = {flag, parse_config("model: {quantization: {enable: false}}", "f.yaml")};
  EXPECT_EQ(resolve_config(layers).config.quantization_format, "int4");
}

TEST(ConfigFile, AModelsNameGoesWithItsFolder) {
  const ConfigLayer file = parse_config("model: {name: Big, path: /app/models/big}", "f.yaml");
  const auto name_with = [&](const char* path) {
    ConfigLayer flag{ErrorCode::kUsage, {}};
    flag.entries["model.path"] = {path, "--model", ""};
    return resolve_config(std::vector{flag, file}).config.model_name;
  };
  EXPECT_EQ(resolve_config(std::vector{file}).config.model_name, "Big");
  EXPECT_EQ(name_with("./models/big/"), "Big");
  EXPECT_EQ(name_with("models/demo"), "");
  ConfigLayer both{ErrorCode::kUsage, {}};
  both.entries["model.path"] = {"models/demo", "--model", ""};
  both.entries["model.name"] = {"mine", "--model-name", ""};
  EXPECT_EQ(resolve_config(std::vector{both, file}).config.model_name, "mine");
  ConfigLayer flag{ErrorCode::kUsage, {}}, variable;
  flag.entries["model.path"] = {"models/demo", "--model", ""};
  variable.entries["model.name"] = {"said", "MODEL_NAME", ""};
  EXPECT_EQ(resolve_config(std::vector{flag, variable, file}).config.model_name, "said");
}

TEST(ConfigFile, ASwitchThatIsOnUndoesAWeakerOneThatIsOff) {
  const ConfigLayer off = parse_config(
      "model: {quantization: {enable: false}}\nbatch_config: {enable_dynamic_batching: false}\n", "f.yaml");
  EXPECT_EQ(resolve_config(std::vector{off}).config.quantization_format, "none");
  EXPECT_EQ(resolve_config(std::vector{off}).config.max_num_seqs, 1);
  ConfigLayer on;
  on.entries["model.quantization.enable"] = {"true", "ENABLE_QUANTIZATION", ""};
  on.entries["batch_config.enable_dynamic_batching"] = {"true", "ENABLE_DYNAMIC_BATCHING", ""};
  EXPECT_EQ(resolve_config(std::vector{on, off}).config.quantization_format, "int8");
  EXPECT_EQ(resolve_config(std::vector{on, off}).config.max_num_seqs, ServiceConfig().max_num_seqs);
}

TEST(ConfigFile, ApiKeysAreNeverShown) {
  const auto keys = config_of("api_keys:\n  production: secret-1\n").api_keys;
  EXPECT_EQ(keys.at("production").key, "secret-1");
  for (const char* text :
       {"api_keys:\n  a: 'top secret'\n", "API_KEYS: top-secret\n", "api_keys:\n  a: \"top\\x01secret\"\n",
        "api_keys:\n  a: [top-secret]\n", "api_keys:\n  a: {b: {c: top secret}}\n"}) {
    try {
      config_of(text);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kConfig);
      EXPECT_EQ(std::string(error.what()).find("secret"), std::string::npos) << error.what();
    }
  }
}

TEST(ConfigFile, AWrongApiKeyIsNamedWithItsLine) {
  const auto refused = [](const char* text, const char* words) {
    return fails_with([&] { config_of(text); }, ErrorCode::kConfig, words);
  };
  EXPECT_TRUE(refused("api_keys:\n  a: one\n  b: t wo\n", ":3: \"api_keys.b\" must be"));
  EXPECT_TRUE(refused("api_keys:\n  a: one\n  b: None\n", ":3: \"api_keys.b\" must be"));
  EXPECT_TRUE(refused("API_KEYS:\n  a: one\napi_keys:\n  a: two\n", "keep one of them"));
}

TEST(Dictionaries, AsPythonJsonAndYamlSpellThem) {
  const auto with = [](std::map<std::string, std::string> variables) {
    return resolve_config(std::vector{environment_layer([&](const char* name) -> const char* {
             const auto found = variables.find(name);
             return found == variables.end() ? nullptr : found->second.c_str();
           })})
        .config;
  };
  for (const char* text : {"{\"max_batch_size\": 6, \"batch_timeout\": 100, \"enable_dynamic_batching\": True}",
                           "{'max_batch_size': 6, 'batch_timeout': 100, }", "{\n  \"max_batch_size\": 6,  # most\n}"})
    EXPECT_EQ(with({{"BATCH_CONFIG", text}}).max_num_seqs, 6) << text;
  EXPECT_EQ(with({{"BATCH_CONFIG", "{max_batch_size: 6}"}, {"BATCH_SIZE", "2"}}).max_num_seqs, 2);
  EXPECT_EQ(with({{"CACHE_CONFIG", "{\"enable\": True, \"ttl\": 60, \"max_size\": \"1GB\"}"}}).cache_ttl.count(), 60);
  EXPECT_EQ(with({{"CACHE_CONFIG", "{'enable': None, 'ttl': 60, 'max_size': None}"}}).cache_ttl.count(), 60);
  EXPECT_TRUE(with({{"SSL_CONFIG", "{'cert_file': None, 'key_file': None}"}}).origins.empty());
  const ApiKeys keys = {{"production", {.key = "k1"}}, {"development", {.key = "k2"}}};
  EXPECT_EQ(with({{"API_KEYS", "production:k1,development:k2"}}).api_keys, keys);
  EXPECT_EQ(with({{"API_KEYS", "{\"production\": \"k1\", 'development': 'k2'}"}}).api_keys, keys);
  EXPECT_TRUE(fails_with(
      [&] {
        with({{"BATCH_CONFIG", "{max_batch: 6}"}});
      },
      ErrorCode::kConfig, "BATCH_CONFIG.max_batch"));
  EXPECT_TRUE(fails_with([&] { with({{"BATCH_CONFIG", "yes"}}); }, ErrorCode::kConfig, "BATCH_CONFIG:1"));
  EXPECT_TRUE(fails_with([&] { with({{"API_KEYS", "just-a-key"}}); }, ErrorCode::kConfig, "API_KEYS must be name:key"));
}

TEST(YamlSettings, BoundsAndWhatIsNotRead) {
  const auto refuses = [](const std::string& text, std::string_view words) {
    return fails_with([&] { read_yaml_settings(text, "f.yaml"); }, ErrorCode::kConfig, words);
  };
  EXPECT_TRUE(refuses("a: 1\nb: 2\na: 3\n", "f.yaml:3: a is set twice"));
  EXPECT_TRUE(refuses("a:\n  b: 1\na:\n  c: 1\n", "f.yaml:3: a is set twice"));
  EXPECT_TRUE(refuses("a:\n  b: 1\na.b: 1\n", "f.yaml:3: a.b is set twice"));
  EXPECT_TRUE(refuses("a: &x 1\nb: *x\n", "anchors"));
  EXPECT_TRUE(refuses("a: !!python/object:os.system x\n", "f.yaml:1: tags"));
  EXPECT_TRUE(refuses("a: !mine x\n", "tags"));
  EXPECT_TRUE(refuses("a: [1, 2]\n", "a must be one value, not a list"));
  EXPECT_TRUE(refuses("- a\n", "must be lines of"));
  EXPECT_TRUE(refuses("a: 1\n---\na: 2\n", "f.yaml"));
  EXPECT_TRUE(refuses("a: {", "is not YAML"));
  EXPECT_TRUE(refuses("a: 1\nb: \"x\nc: \"y\"\n", "f.yaml:2: a \" is not closed in its line"));
  EXPECT_TRUE(refuses("a: 'it\nb: 1\n", "f.yaml:1: a ' is not closed"));
  EXPECT_EQ(read_yaml_settings("a: 'it''s'\nb: \"\\\"\"\n", "f.yaml")[0].value, "it's");
  EXPECT_EQ(read_yaml_settings("\xef\xbb\xbf\"a\": '你\"'", "f.yaml")[0].value, "你\"");
  EXPECT_TRUE(refuses("a: |\n  x\n  y\n", "line break"));
  EXPECT_TRUE(
      refuses("\xff\xfe"
              "a",
              "UTF-8"));
  EXPECT_TRUE(refuses(std::string("a: 1\0", 5), "UTF-8"));
  EXPECT_TRUE(refuses(std::string(kMaxYamlBytes + 1, '#'), "bytes"));
  EXPECT_TRUE(refuses(std::string(100'000, '{'), "f.yaml:1"));
  EXPECT_TRUE(refuses(std::string(100'000, '['), "f.yaml:1"));
  std::string deep;
  for (size_t i = 0; i < kMaxYamlDepth; ++i) deep += std::string(i, ' ') + "a:\n";
  EXPECT_EQ(read_yaml_settings(deep, "f.yaml").size(), 1u);
  EXPECT_TRUE(refuses(deep + std::string(kMaxYamlDepth, ' ') + "a:\n" + std::string(kMaxYamlDepth + 1, ' ') + "a: 1\n",
                      "nested deeper"));
  std::string many;
  for (size_t i = 0; i <= kMaxYamlSettings; ++i) many += "k" + std::to_string(i) + ": 1\n";
  EXPECT_TRUE(refuses(many, "more than 4096 settings"));
}

TEST(FindConfigFiles, NamedThenVariablesThenTheUsualPlaces) {
  const ScratchFolder scratch;
  const std::string root = scratch.path().string();
  for (const char* folder : {"/app/configs", "/etc/qwen-thinking", "/mine"})
    std::filesystem::create_directories(root + folder);
  scratch.write("etc/qwen-thinking/service_config.yaml", "");
  const auto find = [&](std::vector<std::string> named, std::map<std::string, std::string> variables = {}) {
    return find_config_files(
        named,
        [&](const char* name) -> const char* {
          const auto found = variables.find(name);
          return found == variables.end() ? nullptr : found->second.c_str();
        },
        root);
  };
  using Files = std::vector<std::string>;
  EXPECT_EQ(find({}), Files{root + "/etc/qwen-thinking/service_config.yaml"});
  scratch.write("app/configs/model_config.yaml", "");
  EXPECT_EQ(find({}), Files{root + "/app/configs/model_config.yaml"}) << "the first folder alone";
  EXPECT_EQ(find({}, {{"CONFIG_FILES", "a.yaml:b.yaml"}}), (Files{"a.yaml", "b.yaml"}));
  EXPECT_EQ(find({}, {{"CONFIG_FILE", "a:b.yaml"}}), Files{"a:b.yaml"});
  EXPECT_EQ(find({}, {{"CONFIG_FILES", "none"}}), Files{});
  EXPECT_EQ(find({"c.yaml", root + "/etc/qwen-thinking"}, {{"CONFIG_FILES", "a.yaml"}}),
            (Files{"c.yaml", root + "/etc/qwen-thinking/service_config.yaml"}));
  EXPECT_EQ(find({"none"}), Files{});
  EXPECT_TRUE(fails_with([&] { find({root + "/mine"}); }, ErrorCode::kConfig, "holds neither"));
  EXPECT_TRUE(fails_with([&] { read_config_file(root + "/mine/x.yaml"); }, ErrorCode::kConfig, "x.yaml"));
  EXPECT_TRUE(fails_with([&] { read_config_file("/dev/zero"); }, ErrorCode::kConfig, "/dev/zero"));
}

// What ConfigFaults keeps, a line each; empty where all is well.
std::string faults_of(const std::string& text) {
  ConfigFaults faults;
  resolve_config(std::vector{parse_config(text, "f.yaml", &faults)}, &faults);
  std::string lines;
  for (const Error& fault : faults.all()) lines += std::string(fault.what()) + '\n';
  return lines;
}

TEST(ConfigFaults, AreAllKept) {
  EXPECT_EQ(faults_of("server: {port: 1}\n"), "");
  const std::string several = faults_of(
      "server:\n  prot: 1\n  port: [1, {a: [2]}, 3]\n  host: \"a\\nb\"\n  workers: 0\nlogging: {level: LOUD}\nserver: "
      "{io_threads: x}\n");
  for (const char* words : {"f.yaml:2: there is no key \"server.prot\"", "f.yaml:3: server.port must be one value",
                            "f.yaml:4: the value of server.host", "f.yaml:5: server.workers is \"0\"",
                            "f.yaml:6: logging.level", "f.yaml:7: server is set twice", "f.yaml:7: server.io_threads"})
    EXPECT_NE(several.find(words), std::string::npos) << words << "\n" << several;
  EXPECT_EQ(std::count(several.begin(), several.end(), '\n'), 7) << several;
}

TEST(ConfigFaults, WhatCannotBeReadEndsTheTextButNotTheRest) {
  const std::string cut = faults_of("server: {workers: 0, prot: 1}\nlogging: {level: \n");
  EXPECT_NE(cut.find("is not YAML"), std::string::npos) << cut;
  EXPECT_EQ(std::count(cut.begin(), cut.end(), '\n'), 3) << cut;
  const std::string deep = faults_of("server: {workers: 0}\na: " + std::string(100'000, '['));
  EXPECT_NE(deep.find("nested deeper"), std::string::npos) << deep;
  EXPECT_NE(deep.find("server.workers"), std::string::npos) << deep;
}

TEST(ConfigFaults, AreBounded) {
  std::string many;
  for (int i = 0; i < 100'000; ++i) many += "a: 1\n";
  ConfigFaults faults;
  parse_config(many, "f.yaml", &faults);
  EXPECT_EQ(faults.all().size(), ConfigFaults::kMost);
}

}  // namespace
}  // namespace qwen
