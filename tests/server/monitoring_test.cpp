// /metrics, /stats and the metrics port of a whole server over a scripted model.
#include <atomic>
#include <thread>

#include "metrics_text.h"
#include "raw_client.h"
#include "server/server.h"
#include "service_fixture.h"

namespace qwen::test {
namespace {

using std::chrono::milliseconds;

int free_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ::bind(socket, reinterpret_cast<sockaddr*>(&address), size);
  ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
  ::close(socket);
  return ntohs(address.sin_port);
}

class Monitoring : public testing::Test {
 protected:
  Monitoring() {
    config_.host = "127.0.0.1";
    config_.port = 0;
    config_.metrics_port = free_port();
  }
  void start(bool ready = true) {
    EngineOptions options;
    options.max_num_seqs = 8;
    scripted_ = std::make_unique<ScriptedService>(options, ready);
    server_ = std::make_unique<HttpServer>(config_, scripted_->service);
    server_->start();
  }
  int port() const { return server_->port(); }
  std::string scrape() const { return ask(server_->metrics_port(), get("/metrics")).body; }
  double read(const std::string& series) const { return figure(scrape(), series); }
  bool becomes(const std::string& series, double value, milliseconds limit = 20 * kASecond) {
    return eventually([&] { return read(series) == value; }, limit);
  }
  nlohmann::json stats() const { return ask(port(), get("/stats")).json(); }
  HttpAnswer generate(const std::string& fields = "") {
    return ask(port(), post("/generate", "{\"prompt\":\"hi\"" + fields + "}"));
  }
  static std::string status(const char* code) {
    return std::string("http_requests_total{method=\"POST\",route=\"/generate\",status=\"") + code + "\"}";
  }

  ServiceConfig config_;
  std::unique_ptr<ScriptedService> scripted_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(Monitoring, TellsTheStateWhileLoading) {
  start(false);
  const HttpAnswer answer = ask(port(), get("/metrics"));
  ASSERT_EQ(answer.status, 200);
  EXPECT_EQ(answer.header("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_EQ(figure(answer.body, "qwen_state{state=\"loading\"}"), 1);
  EXPECT_EQ(figure(answer.body, "qwen_state{state=\"healthy\"}"), 0);
  EXPECT_EQ(answer.body.find("qwen_model_info"), std::string::npos);
  EXPECT_EQ(answer.body.find("qwen_engine_heartbeat"), std::string::npos);
  EXPECT_EQ(generate().status, 503);
  EXPECT_TRUE(becomes("qwen_rejected_total{reason=\"loading\"}", 1));
  EXPECT_EQ(stats().at("failed_requests"), 1);

  scripted_->make_ready();
  const std::string text = scrape();
  EXPECT_EQ(figure(text, "qwen_state{state=\"healthy\"}"), 1);
  EXPECT_NE(text.find("qwen_model_info{"), std::string::npos);
  const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  EXPECT_NEAR(figure(text, "qwen_engine_heartbeat_timestamp_seconds"), now, 5);
  EXPECT_EQ(read("qwen_state{state=\"draining\"}"), 0);
  scripted_->service.begin_drain();
  EXPECT_EQ(read("qwen_state{state=\"draining\"}"), 1);
}

TEST_F(Monitoring, CountsOneGeneration) {
  start();
  const nlohmann::json usage = generate(",\"thinking\":true").json().at("usage");
  ASSERT_TRUE(becomes(status("200"), 1));
  const std::string text = scrape();
  EXPECT_EQ(figure(text, "qwen_request_finished_total{reason=\"stop\"}"), 1);
  EXPECT_EQ(figure(text, "qwen_prompt_tokens_total"), usage.at("prompt_tokens"));
  EXPECT_EQ(figure(text, "qwen_generated_tokens_total"), usage.at("completion_tokens"));
  EXPECT_EQ(figure(text, "qwen_prompt_tokens_sum"), usage.at("prompt_tokens"));
  EXPECT_EQ(figure(text, "qwen_generation_tokens_sum"), usage.at("completion_tokens"));
  EXPECT_GT(figure(text, "qwen_thinking_tokens_total"), 0);
  EXPECT_EQ(figure(text, "qwen_thoughts_total{ended_by=\"natural\"}"), 1);
  EXPECT_EQ(figure(text, "qwen_thoughts_total{ended_by=\"budget\"}"), 0);
  EXPECT_LT(figure(text, "qwen_thinking_tokens_total"), usage.at("completion_tokens"));
  for (const char* histogram :
       {"qwen_time_to_first_token_seconds", "qwen_time_to_first_answer_token_seconds",
        "qwen_time_per_output_token_seconds", "qwen_request_duration_seconds", "qwen_generation_tokens"})
    EXPECT_EQ(figure(text, std::string(histogram) + "_count"), 1) << histogram;
  // A step for the prompt, which gives the first token, and one for each further token.
  EXPECT_EQ(figure(text, "qwen_engine_step_duration_seconds_count"), usage.at("completion_tokens"));
  EXPECT_EQ(figure(text, "qwen_batch_size_sum"), usage.at("completion_tokens"));
  EXPECT_EQ(figure(text, "qwen_step_tokens_sum"),
            usage.at("prompt_tokens").get<int>() + usage.at("completion_tokens").get<int>() - 1);
  EXPECT_EQ(figure(text, "qwen_kv_blocks{state=\"used\"}"), 0);
  EXPECT_GT(figure(text, "qwen_kv_blocks{state=\"free\"}"), 0);
}

TEST_F(Monitoring, StatsAreTheGuides) {
  start();
  EXPECT_EQ(generate().status, 200);
  EXPECT_EQ(generate(",\"tempreature\":1").status, 400);
  EXPECT_EQ(ask(port(), get("/v1/models")).status, 200);
  for (const char* path : {"/health", "/readyz", "/stats", "/nowhere", "/metrics"}) ask(port(), get(path));
  ASSERT_TRUE(eventually([&] { return stats().at("total_requests") == 3; }));
  const nlohmann::json body = stats();
  EXPECT_EQ(body.at("successful_requests"), 2);
  EXPECT_EQ(body.at("failed_requests"), 1);
  EXPECT_EQ(body.at("cancelled_requests"), 0);
  EXPECT_GT(body.at("average_response_time"), 0);
  EXPECT_GT(body.at("model_memory_usage"), 0);
  EXPECT_EQ(body.at("gpu_utilization"), 0.0);
  EXPECT_TRUE(body.at("uptime_hours").is_number_float());
  EXPECT_EQ(body.at("requests_running"), 0);
  EXPECT_EQ(body.at("requests_waiting"), 0);
  EXPECT_EQ(body.at("kv_cache_usage"), 0);
  EXPECT_GT(body.at("generated_tokens"), 0);
  EXPECT_GT(body.at("tokens_per_second"), 0);
  EXPECT_GT(body.at("average_time_to_first_token"), 0);
}

TEST_F(Monitoring, GaugesAreBackAtZeroASecondAfterTheClientsLeft) {
  start();
  scripted_->echo(3000);
  scripted_->control().set_delay(milliseconds(2));
  constexpr int kClients = 40;
  std::vector<RawClient> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back(port());
    clients.back().send(post("/generate", R"({"prompt":"a b c d","max_length":3000,"stream":true})"));
  }
  ASSERT_TRUE(becomes("qwen_streams_open", kClients));
  ASSERT_TRUE(becomes("qwen_requests_running", 8));
  ASSERT_TRUE(becomes("qwen_requests_waiting", kClients - 8));
  const std::string busy = scrape();
  EXPECT_EQ(figure(busy, "qwen_connections_open"), kClients);
  EXPECT_GT(figure(busy, "qwen_kv_blocks{state=\"used\"}"), 0);
  EXPECT_GT(figure(busy, "qwen_kv_cache_usage_ratio"), 0);

  for (int i = 0; i < kClients; ++i) i % 2 == 0 ? clients[i].reset() : clients[i].close();
  const auto left = [&] {
    const std::string text = scrape();
    double sum = 0;
    for (const char* gauge : {"qwen_streams_open", "qwen_connections_open", "qwen_requests_running",
                              "qwen_requests_waiting", "qwen_kv_cache_usage_ratio", "qwen_kv_blocks{state=\"used\"}"})
      sum += figure(text, gauge);
    return sum;
  };
  EXPECT_TRUE(eventually([&] { return left() == 0; }, kASecond)) << scrape();
  EXPECT_TRUE(becomes("qwen_client_disconnects_total", kClients));  // a moment after the connection is gone
  EXPECT_TRUE(becomes(status("499"), kClients));
  EXPECT_TRUE(becomes("qwen_request_finished_total{reason=\"abort\"}", kClients));
  EXPECT_EQ(stats().at("cancelled_requests"), kClients);
  EXPECT_EQ(stats().at("failed_requests"), 0);
}

TEST_F(Monitoring, AFailureInMidStreamIsAFailure) {
  start();
  scripted_->echo(3000);
  RawClient client(port());
  client.send(post("/generate", R"({"prompt":"a b","max_length":3000,"stream":true})"));
  client.read_until("data: ");
  scripted_->control().set_delay(milliseconds(2));
  scripted_->control().fail_steps(scripted_->control().steps() + 10, 1);
  EXPECT_NE(client.read_until("[DONE]").find("internal_error"), std::string::npos);
  EXPECT_TRUE(becomes("qwen_request_finished_total{reason=\"error\"}", 1));
  EXPECT_TRUE(becomes("qwen_engine_errors_total{kind=\"step\"}", 1));
  EXPECT_EQ(read("qwen_engine_errors_total{kind=\"fatal\"}"), 0);
  EXPECT_TRUE(eventually([&] { return stats().at("failed_requests") == 1; }));
  EXPECT_TRUE(becomes(status("200"), 1));  // what the status line said
}

TEST_F(Monitoring, TheMetricsPortServesNothingElse) {
  start();
  const int metrics_port = server_->metrics_port();
  EXPECT_EQ(metrics_port, config_.metrics_port);
  for (const char* path : {"/metrics", "/health", "/livez", "/readyz"})
    EXPECT_EQ(ask(metrics_port, get(path)).status, 200) << path;
  for (const char* path : {"/", "/stats", "/v1/models", "/model_info"})
    EXPECT_EQ(ask(metrics_port, get(path)).status, 404) << path;
  EXPECT_EQ(ask(metrics_port, post("/generate", "{\"prompt\":\"hi\"}")).status, 404);
  EXPECT_EQ(ask(metrics_port, post("/metrics", "{}")).status, 405);
  EXPECT_EQ(read("qwen_connections_open"), 0);  // its own connections are not the service's
}

TEST_F(Monitoring, NoMetricsWhereNoneAreWanted) {
  config_.enable_metrics = false;
  start();
  EXPECT_EQ(ask(port(), get("/metrics")).status, 404);
  EXPECT_EQ(server_->metrics_port(), 0);
  EXPECT_EQ(ask(port(), get("/stats")).status, 200);
}

TEST_F(Monitoring, ATakenMetricsPortIsNamed) {
  start();
  ScriptedService other({}, false);
  ServiceConfig config = config_;
  try {
    const HttpServer second(config, other.service);
    FAIL() << "bound twice";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kOs);
    EXPECT_NE(std::string(e.what()).find(std::to_string(config.metrics_port)), std::string::npos) << e.what();
  }
}

TEST_F(Monitoring, ScrapesWhileEverythingMoves) {
  start();
  std::vector<std::thread> threads;
  std::atomic<int> answered{0};
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      for (int n = 0; n < 25; ++n) {
        if (i % 2 == 0) answered += generate().status == 200 ? 1 : 0;
        if (i % 2 == 1 && scrape().size() < 1000) ADD_FAILURE() << "a scrape came short";
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(answered, 50);
  EXPECT_TRUE(becomes(status("200"), 50));
  EXPECT_EQ(read("qwen_request_finished_total{reason=\"stop\"}"), 50);
}

}  // namespace
}  // namespace qwen::test
