// What /metrics tells of the logs, and what stands in them of a request.
#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/log.h"
#include "logging/service_log.h"
#include "metrics_text.h"
#include "raw_client.h"
#include "server/server.h"
#include "service_fixture.h"

namespace qwen::test {
namespace {

class LogMetrics : public testing::Test {
 protected:
  LogMetrics() {
    std::string name = testing::TempDir() + "qwen_log_metrics_XXXXXX";
    folder_ = ::mkdtemp(name.data());
    config_.host = "127.0.0.1";
    config_.port = 0;
  }
  ~LogMetrics() override {
    server_.reset();
    log_.reset();
    std::filesystem::remove_all(folder_);
  }
  void start(const std::string& file) {
    log_ = std::make_unique<ServiceLog>(ServiceLogOptions{.file = file, .retry = std::chrono::milliseconds(10)});
    server_ = std::make_unique<HttpServer>(config_, scripted_.service, log_.get());
    server_->start();
  }
  double read(const std::string& series) const { return figure(ask(server_->port(), get("/metrics")).body, series); }
  std::string file(const char* name) const {
    flush_log(std::chrono::seconds(10));
    std::ifstream stream(folder_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }

  std::filesystem::path folder_;
  ServiceConfig config_;
  ScriptedService scripted_{EngineOptions{}, true};
  std::unique_ptr<ServiceLog> log_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(LogMetrics, TellOfEachLog) {
  start(folder_ / "service.log");
  log_error("an error");
  EXPECT_EQ(read("qwen_log_messages_total{level=\"ERROR\"}"), 1);
  for (const char* log : {"service", "access", "error", "stderr"}) {
    const std::string label = std::string("{log=\"") + log + "\"}";
    EXPECT_EQ(read("qwen_log_dropped_total" + label), 0);
    EXPECT_EQ(read("qwen_log_writable" + label), 1);
    EXPECT_EQ(read("qwen_log_failures_total" + label), 0);
  }
  EXPECT_TRUE(eventually([&] {
    return ask(server_->port(), get("/metrics")).body.find("qwen_log_disk_free_bytes ") != std::string::npos;
  }));
  EXPECT_GT(read("qwen_log_disk_size_bytes"), read("qwen_log_disk_free_bytes") / 2);
}

TEST_F(LogMetrics, SayWhatCannotBeWritten) {
  start(folder_ / "not/there/service.log");
  EXPECT_TRUE(eventually([&] { return read("qwen_log_writable{log=\"access\"}") == 0; }));
  EXPECT_GT(read("qwen_log_failures_total{log=\"access\"}"), 0);
  EXPECT_EQ(ask(server_->port(), get("/metrics")).body.find("qwen_log_disk"), std::string::npos);
}

// Nothing of a request's body is logged, unless that is asked for.
class PromptsInTheLog : public LogMetrics, public testing::WithParamInterface<bool> {};

TEST_P(PromptsInTheLog, AreThereWhereAskedForAlone) {
  config_.log_prompts = GetParam();
  start(folder_ / "service.log");
  EXPECT_EQ(ask(server_->port(), post("/generate", "{\"prompt\":\"a\\u0001 sec-\xc2\x85ret\"}")).status, 200);
  server_.reset();
  const std::string said = " asks /generate: {\"prompt\":\"a\\u0001 sec-\\u0085ret\"}\n";
  EXPECT_EQ(file("service.log").find(said) != std::string::npos, GetParam());
  EXPECT_EQ(file("service.log").find("sec-") != std::string::npos, GetParam());
  EXPECT_THAT(file("access.log"), testing::HasSubstr("/generate status 200"));
  EXPECT_THAT(file("access.log"), testing::Not(testing::HasSubstr("sec-")));
}

INSTANTIATE_TEST_SUITE_P(, PromptsInTheLog, testing::Bool());

}  // namespace
}  // namespace qwen::test
