// SIGHUP: what changes at once, what is said to need a restart, and what a wrong configuration does.
#include "commands/live_config.h"

#include <gtest/gtest.h>

#include <map>

#include "base/error.h"
#include "base/log.h"
#include "server/config/config_file.h"

namespace qwen {
namespace {

class LiveConfigTest : public testing::Test {
 protected:
  LiveConfigTest() { set_log_level(LogLevel::kInfo); }
  ~LiveConfigTest() override { set_log_level(LogLevel::kInfo); }

  EffectiveConfig read() const { return resolve_config(std::vector{parse_config(text_, "f.yaml")}); }

  std::string reload(const std::string& text) {
    text_ = text;
    testing::internal::CaptureStderr();
    live_.reload();
    return testing::internal::GetCapturedStderr();
  }

 protected:
  int applied_ = 0;
  ApiKeys keys_;
  std::string text_ = "server:\n  port: 8000\n";
  LiveConfig live_{read(), [this] { return read(); },
                   [this](const ServiceConfig& config) {
                     ++applied_;
                     keys_ = config.api_keys;
                   }};
};

TEST_F(LiveConfigTest, TheLogLevelChangesAtOnce) {
  EXPECT_NE(reload("logging: {level: DEBUG}").find("changed: logging.level from INFO to DEBUG (f.yaml:1)"),
            std::string::npos);
  EXPECT_TRUE(log_enabled(LogLevel::kDebug));
  EXPECT_NE(reload("logging: {level: ERROR}").find("from DEBUG to ERROR"), std::string::npos);
  EXPECT_FALSE(log_enabled(LogLevel::kWarning));
  EXPECT_NE(reload("").find("changed: logging.level from ERROR to INFO (default)"), std::string::npos);
}

TEST_F(LiveConfigTest, TheRestNeedsARestartAndSaysSoEachTime) {
  for (int i = 0; i < 2; ++i) {
    const std::string log = reload("server: {port: 81}");
    EXPECT_NE(log.find("nothing changed; needs a restart: server.port from 8000 to 81 (f.yaml:1)"), std::string::npos)
        << log;
  }
  const std::string log = reload("server: {port: 8000}");
  EXPECT_NE(log.find("nothing changed"), std::string::npos);
  EXPECT_EQ(log.find("restart"), std::string::npos);
}

TEST_F(LiveConfigTest, AWrongConfigurationChangesNothing) {
  const std::string log = reload("logging: {level: DEBUG}\nserver: {port: eighty}");
  EXPECT_NE(log.find("ERROR"), std::string::npos);
  EXPECT_NE(log.find("stays as it is: f.yaml:2: server.port"), std::string::npos) << log;
  EXPECT_FALSE(log_enabled(LogLevel::kDebug));
  EXPECT_EQ(applied_, 0);
}

TEST_F(LiveConfigTest, KeysAreTheServersAndShownMasked) {
  const std::string log = reload("api_keys: {a: hidden-key-of-a}");
  EXPECT_NE(log.find("changed: api_keys from - to a:****"), std::string::npos) << log;
  EXPECT_EQ(log.find("hidden"), std::string::npos);
  EXPECT_EQ(keys_.at("a").key, "hidden-key-of-a");
  EXPECT_NE(reload("api_keys: {b: hidden-key-of-b}").find("from a:**** to b:****"), std::string::npos);
  reload("api_keys: {b: hidden-key-of-b}");
  EXPECT_EQ(applied_, 3) << "also where only the files of certificates have changed";
}

TEST_F(LiveConfigTest, WhatHoldsIsWhatChangedAtOnce) {
  reload("logging: {level: DEBUG}\nserver: {port: 81}\napi_keys: {a: hidden-key-of-a}");
  reload("logging: {level: LOUD}");
  std::map<std::string_view, std::string> holds;
  for (const EffectiveValue& value : live_.running().values) holds[value.name] = value.value + ' ' + value.origin;
  EXPECT_EQ(holds["logging.level"], "DEBUG f.yaml:1");
  EXPECT_EQ(holds["server.port"], "8000 f.yaml:2");
  EXPECT_EQ(live_.running().config.origins.count("logging.level"), 1);
  reload("");
  EXPECT_EQ(live_.running().config.origins.count("logging.level"), 0);
}

}  // namespace
}  // namespace qwen
