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
  EXPECT_EQ(notices_of("cache_config: {enable: true, ttl: 60, redis_url: 'redis://r'}"), "");
  const std::string unused = notices_of("cache_config: {enable: false, redis_url: 'redis://:geheim@r'}");
  EXPECT_NE(unused.find("cache_config.redis_url (****) has no effect: cache_config.enable is false"),
            std::string::npos);
}

TEST(ConfigReview, CertificateAndKeyGoTogether) {
  EXPECT_TRUE(refused("ssl_config: {cert_file: c.pem}", "f.yaml:1: ssl_config.cert_file needs its private key"));
  EXPECT_TRUE(refused("ssl_config: {key_file: k.pem}", "ssl_config.key_file needs its certificate"));
  EXPECT_EQ(notices_of("ssl_config: {cert_file: c.pem, key_file: k.pem}"), "") << "no file is looked at";
  EXPECT_EQ(notices_of("ssl_config: {cert_file: c.pem, key_file: k.pem, hsts_max_age: 60}"), "");
  EXPECT_NE(notices_of("ssl_config: {hsts_max_age: 60}").find("without a certificate"), std::string::npos);
}

TEST(ConfigReview, KeysThatCanBeGuessedAreWarnedOf) {
  EXPECT_EQ(notices_of("api_keys: {a: 0123456789abcdef}"), "");
  EXPECT_NE(notices_of("api_keys: {a: 0123456789abcde}").find("api_keys.a can be guessed"), std::string::npos);
  const std::string example = notices_of("api_keys: {production: your-secure-api-key}");
  EXPECT_NE(example.find("api_keys.production can be guessed"), std::string::npos);
  EXPECT_EQ(example.find("your-secure"), std::string::npos);
  EXPECT_NE(notices_of("security: {cors_origins: '*'}").find("every web page"), std::string::npos);
  EXPECT_EQ(notices_of("security: {cors_origins: 'https://a.example'}"), "");
  EXPECT_EQ(notices_of("security: {cors_origins: '*'}\napi_keys: {a: 0123456789abcdef}"), "");
  EXPECT_NE(notices_of("security: {tokens_per_minute: 5}").find("there are none"), std::string::npos);
}

TEST(ConfigReview, PortsAndTimesGoTogether) {
  EXPECT_TRUE(refused("server: {port: 9090}\nmonitoring: {metrics_port: 9090}", "f.yaml:2: monitoring.metrics_port"));
  EXPECT_EQ(notices_of("monitoring: {enable_metrics: false, metrics_port: 9090}"),
            "monitoring.metrics_port has no effect: metrics are switched off\n");
  EXPECT_TRUE(refused("server: {drain_timeout: 60, stop_grace_period: 69}", "+ 5 = 70"));
  EXPECT_EQ(notices_of("server: {drain_timeout: 60, stop_grace_period: 70}"), "");
}

TEST(ConfigReview, WithoutEffectIsSaidOnce) {
  EXPECT_EQ(notices_of(""), "");
  const std::string lines =
      notices_of("memory: {gradient_checkpointing: true, enable_optimization: true, cpu_offload: false}");
  EXPECT_NE(lines.find("f.yaml:1: memory.gradient_checkpointing (true) has no effect"), std::string::npos);
  EXPECT_NE(lines.find("memory.enable_optimization"), std::string::npos);
  EXPECT_EQ(lines.find("cpu_offload"), std::string::npos);
  EXPECT_EQ(notices_of("memory: {gradient_checkpointing: false}"), "");
  EXPECT_EQ(notices_of("logging: {file: x.log, format: json, prompts: false}"), "");
  EXPECT_NE(notices_of("logging: {prompts: true}").find("f.yaml:1: logging.prompts (true) puts"), std::string::npos);
  EXPECT_NE(notices_of("gpu: {visible_devices: 0}").find("model.device cpu"), std::string::npos);
  EXPECT_EQ(notices_of("gpu: {visible_devices: 0}\nmodel: {device: 'cuda:0'}"), "");
}

TEST(LogFile, IsAFileWithRoomBesideIt) {
  for (const char* path : {"none", "/app/logs/service.log", "here.log", "/app/logs"})
    EXPECT_EQ(parse_log_file(path), path);
  for (const char* path : {"", "/app/logs/", "/x/access.log", "error.log", "/dev/stdout", "/proc/self/fd/2"})
    EXPECT_THROW(parse_log_file(path), Disallowed) << path;
  EXPECT_EQ(parse_log_size("0"), 0u);
  EXPECT_EQ(parse_log_size("4KiB"), 4096u);
  EXPECT_THROW(parse_log_size("4095"), Disallowed);
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
