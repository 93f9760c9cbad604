// The whole server on a free port over a model that says what the test tells it to.
#pragma once

#include "raw_client.h"
#include "server/server.h"
#include "service_fixture.h"

namespace qwen::test {

class Server : public testing::Test {
 protected:
  void start(EngineOptions options = {}, bool ready = true) {
    config_.host = "127.0.0.1";
    config_.port = 0;
    scripted_ = std::make_unique<ScriptedService>(options, ready);
    server_ = std::make_unique<HttpServer>(config_, scripted_->service);
    server_->start();
  }
  int port() const { return server_->port(); }
  HttpAnswer generate(const std::string& fields) {
    return ask(port(), post("/generate", "{\"prompt\":\"hi\"" + fields + "}"));
  }
  HttpAnswer chat(const std::string& fields) {
    return ask(port(), post("/v1/chat/completions",
                            R"({"model":"test-model","messages":[{"role":"user","content":"hi"}])" + fields + "}"));
  }
  bool becomes_idle(std::chrono::milliseconds limit = kASecond) {
    return eventually([&] { return scripted_->idle(); }, limit);
  }
  // A client in the middle of a long stream.
  RawClient streaming_client(const char* path = "/generate") {
    RawClient client(port());
    const bool native = std::string(path) == "/generate";
    client.send(post(path, native ? R"({"prompt":"hi","max_length":3000,"stream":true})"
                                  : R"({"messages":[{"role":"user","content":"hi"}],"stream":true})"));
    EXPECT_NE(client.read_until("data: "), "");
    return client;
  }

  ServiceConfig config_;
  std::unique_ptr<ScriptedService> scripted_;
  std::unique_ptr<HttpServer> server_;
};

}  // namespace qwen::test
