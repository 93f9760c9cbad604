// A request whose time is over before anything was done for it costs nothing more.
#include <gtest/gtest.h>

#include <future>

#include "server/handlers/handler_context.h"
#include "server_fixture.h"

namespace qwen::test {
namespace {

class KeptAnswer final : public Responder {
 public:
  void send(Response response) override { answer.set_value(std::move(response)); }
  void begin_stream(Response, std::string) override {}
  void write(std::string) override {}
  void finish(std::string) override {}
  void post(std::function<void()>) override {}
  void post_soon(std::function<void()>) override {}
  void on_disconnect(std::function<void()>) override {}
  bool client_gone() const override { return false; }

  std::promise<Response> answer;
};

TEST(Deadline, WorkThatWaitedTooLongIsNotBegun) {
  ScriptedService scripted;
  ServiceConfig config;
  WorkerPool workers(1, 10);
  const HandlerContext context{.config = config, .service = scripted.service, .workers = workers};
  for (const bool late : {false, true}) {
    const auto responder = std::make_shared<KeptAnswer>();
    Request request;
    request.arrived = std::chrono::steady_clock::now() - (late ? config.request_timeout : std::chrono::seconds(1));
    run_on_worker(context, std::move(request), responder,
                  [](Request&, const ResponderPtr& out) { out->send({.status = 200}); });
    const Response answer = responder->answer.get_future().get();
    EXPECT_EQ(answer.status, late ? 504 : 200);
    EXPECT_EQ(answer.code, late ? "deadline_exceeded" : "");
  }
}

TEST(Deadline, APromptThatComesTooLateIsNotTokenized) {
  ScriptedService scripted;
  TextRequest request;
  request.raw_prompt = "hi";
  request.deadline = std::chrono::steady_clock::now();
  try {
    scripted.service.start(std::move(request));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kDeadlineExceeded);
  }
}

}  // namespace
}  // namespace qwen::test
