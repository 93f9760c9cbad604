// What a worker gets of the configuration is what its supervisor has.
#include "server/workers/settings_handover.h"

#include <gtest/gtest.h>

#include <map>

#include "server/config/config_file.h"
#include "support/expect_error.h"

namespace qwen {
namespace {

void expect_same(const EffectiveConfig& one, const EffectiveConfig& other) {
  ASSERT_EQ(one.values.size(), other.values.size());
  for (size_t i = 0; i < one.values.size(); ++i) {
    EXPECT_EQ(one.values[i].name, other.values[i].name);
    EXPECT_EQ(one.values[i].value, other.values[i].value) << one.values[i].name;
    EXPECT_EQ(one.values[i].origin, other.values[i].origin) << one.values[i].name;
    EXPECT_EQ(one.values[i].subject, other.values[i].subject) << one.values[i].name;
  }
  ASSERT_EQ(one.config.origins.size(), other.config.origins.size());
  for (const auto& [name, origin] : one.config.origins) {
    const auto found = other.config.origins.find(name);
    ASSERT_NE(found, other.config.origins.end()) << name;
    EXPECT_EQ(origin.name, found->second.name);
    EXPECT_EQ(origin.wrong_value, found->second.wrong_value);
    EXPECT_EQ(origin.from_file, found->second.from_file);
  }
}

EffectiveConfig effective(std::map<std::string, std::string> variables, const std::string& file = "") {
  return resolve_config(std::vector{environment_layer([&](const char* name) -> const char* {
                                      const auto found = variables.find(name);
                                      return found == variables.end() ? nullptr : found->second.c_str();
                                    }),
                                    parse_config(file, "f.yaml")});
}

TEST(SettingsHandover, DefaultsAreKept) {
  const EffectiveConfig before = resolve_config({});
  const EffectiveConfig after = read_settings(spell_settings(before, std::nullopt));
  expect_same(before, after);
  EXPECT_FALSE(after.config.ssl_pair);
}

// Another value than the default for every setting that takes one of these.
TEST(SettingsHandover, EveryValueIsKept) {
  for (const char* value : {"1",
                            "2",
                            "7.0625",
                            "0.7123457",
                            "true",
                            "false",
                            "4096",
                            "12345.678",
                            "int4",
                            "none",
                            "int8",
                            "mmap",
                            "page",
                            "json",
                            "ERROR",
                            "1GiB",
                            "127.0.0.1",
                            "https://a.example, https://b.example",
                            "redis://:secret@host:1/2",
                            "{a: {key: 0123456789abcdef, tokens_per_minute: 5}, b: k2}",
                            "%(levelname)s says: %(message)s",
                            "/a b/ü\n\"c\".pem",
                            "hybrid"}) {
    for (const ConfigKey& key : config_keys()) {
      ConfigLayer layer{ErrorCode::kUsage, {}};
      layer.entries[std::string(key.name)] = {value, "--flag", ""};
      EffectiveConfig before;
      try {
        before = resolve_config(std::vector{layer});
      } catch (const Error&) {
        continue;  // not of this setting
      }
      expect_same(before, read_settings(spell_settings(before, std::nullopt)));
    }
  }
}

TEST(SettingsHandover, NumbersLoseNoDigit) {
  const EffectiveConfig before = effective({{"TEMPERATURE", "0.7123457"}, {"IDLE_TIMEOUT", "86399.999"}});
  const ServiceConfig after = read_settings(spell_settings(before, std::nullopt)).config;
  EXPECT_EQ(after.default_temperature, before.config.default_temperature);
  EXPECT_EQ(after.http.idle_timeout, std::chrono::milliseconds(86'399'999));
}

// What stands in several layers is decided once.
TEST(SettingsHandover, NothingIsResolvedAgain) {
  const EffectiveConfig before = effective({{"QUANTIZATION_FORMAT", "int4"}, {"MAX_WORKERS", "2"}},
                                           "model: {quantization: {enable: false}}\nserver: {timeout: 7}");
  ASSERT_EQ(before.config.quantization_format, "int4");
  const EffectiveConfig after = read_settings(spell_settings(before, std::nullopt));
  expect_same(before, after);
  EXPECT_EQ(after.config.quantization_format, "int4");
  EXPECT_EQ(after.config.weights, "mmap") << "a default that follows from another setting";
  EXPECT_EQ(std::string(wrong_setting(after.config, "server.timeout", "is 7").what()), "f.yaml:2: server.timeout is 7");
}

TEST(SettingsHandover, TheCertificateGoesWithThem) {
  const TlsPair pair{"-----BEGIN 1:2:3\n", std::string("k\0ey", 4)};
  const auto after = read_settings(spell_settings(resolve_config({}), pair)).config.ssl_pair;
  ASSERT_TRUE(after);
  EXPECT_EQ(after->certificates, pair.certificates);
  EXPECT_EQ(after->key, pair.key);
}

TEST(SettingsHandover, WhatIsDamagedIsRefused) {
  const std::string text = spell_settings(resolve_config({}), std::nullopt);
  for (size_t size = 0; size < text.size(); size += 13)
    EXPECT_TRUE(fails_with([&] { read_settings(text.substr(0, size)); }, ErrorCode::kInternal, "another version"));
  EXPECT_TRUE(fails_with([&] { read_settings(text + "0:"); }, ErrorCode::kInternal, "another version"));
  EXPECT_TRUE(fails_with([&] { read_settings("99999999999999999999:x"); }, ErrorCode::kInternal, "another version"));
}

}  // namespace
}  // namespace qwen
