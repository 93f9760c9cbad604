// Settings that stop the start, and settings that are said to have no effect.
#include "server/config/config_review.h"

#include <gtest/gtest.h>

#include "server/config/config_file.h"
#include "server/config/value_text.h"
#include "support/expect_error.h"

namespace qwen {
namespace {

EffectiveConfig effective_of(const std::string& text) {
  return resolve_config(std::vector{parse_config(text, "f.yaml")});
}

testing::AssertionResult refused(const std::string& text, std::string_view words) {
  return fails_with([&] { review_config(effective_of(text)); }, ErrorCode::kConfig, words);
}

std::string notices_of(const std::string& text) {
  std::string lines;
  for (const ConfigNotice& notice : review_config(effective_of(text))) lines += notice.text + '\n';
  return lines;
}

TEST(ConfigReview, WhatIsNotThereYetIsNotPromised) {
  EXPECT_TRUE(refused("api_keys: {a: b}", "f.yaml:1: api_keys is set but this version checks no keys"));
  EXPECT_TRUE(refused("ssl_config: {cert_file: c.pem, key_file: k.pem}", "plain HTTP"));
  EXPECT_TRUE(refused("server: {workers: 2}", "server.workers is more than 1"));
  EXPECT_EQ(notices_of("cache_config: {enable: true, ttl: 60, redis_url: 'redis://r'}"), "");
  const std::string unused = notices_of("cache_config: {enable: false, redis_url: 'redis://:geheim@r'}");
  EXPECT_NE(unused.find("cache_config.redis_url (****) has no effect: cache_config.enable is false"),
            std::string::npos);
}

TEST(ConfigReview, PortsAndTimesGoTogether) {
  EXPECT_TRUE(refused("server: {port: 9090}\nmonitoring: {metrics_port: 9090}", "f.yaml:2: monitoring.metrics_port"));
  EXPECT_EQ(notices_of("monitoring: {enable_metrics: false, metrics_port: 9090}"),
            "monitoring.metrics_port has no effect: metrics are switched off\n");
  EXPECT_TRUE(refused("server: {drain_timeout: 60, stop_grace_period: 64}", "+ 5 = 65"));
  EXPECT_EQ(notices_of("server: {drain_timeout: 60, stop_grace_period: 65}"), "");
}

TEST(ConfigReview, WithoutEffectIsSaidOnce) {
  EXPECT_EQ(notices_of(""), "");
  const std::string lines =
      notices_of("memory: {gradient_checkpointing: true, enable_optimization: true, cpu_offload: false}");
  EXPECT_NE(lines.find("f.yaml:1: memory.gradient_checkpointing (true) has no effect"), std::string::npos);
  EXPECT_NE(lines.find("memory.enable_optimization"), std::string::npos);
  EXPECT_EQ(lines.find("cpu_offload"), std::string::npos);
  EXPECT_EQ(notices_of("memory: {gradient_checkpointing: false}"), "");
  EXPECT_NE(notices_of("gpu: {visible_devices: 0}").find("model.device cpu"), std::string::npos);
  EXPECT_EQ(notices_of("gpu: {visible_devices: 0}\nmodel: {device: 'cuda:0'}"), "");
}

TEST(LogFormat, AsPythonSpellsIt) {
  for (const char* format :
       {"json", "%(message)s", "%(asctime)s - %(name)s - %(levelname)s - %(message)s", "100%% %(process)d %(message)s"})
    EXPECT_EQ(parse_log_format(format), format);
  for (const char* format :
       {"", "text", "%(levelname)s", "%(message)", "%(message)d", "%s", "%(lineno)d %(message)s", "%(message)s %"})
    EXPECT_THROW(parse_log_format(format), Disallowed) << format;
}

}  // namespace
}  // namespace qwen
