// The whole server over real sockets and a scripted model: every route, streams, clients that leave, load.
#include "server/server.h"

#include <thread>

#include "server/handlers/handlers.h"
#include "server_fixture.h"

namespace qwen::test {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

TEST_F(Server, GenerateHasTheGuidesFields) {
  start();
  const HttpAnswer answer = generate("");
  ASSERT_EQ(answer.status, 200) << answer.body;
  const json body = answer.json();
  EXPECT_EQ(body.at("generated_text"), "The answer is 42。");
  EXPECT_EQ(body.at("prompt"), "hi");
  EXPECT_TRUE(body.at("generation_time").is_number_float());
  EXPECT_EQ(body.at("token_count"), body.at("usage").at("completion_tokens"));
  EXPECT_EQ(body.at("model_info"), (json{{"model_type", "test-model"}, {"quantization", "none"}}));
  EXPECT_EQ(body.at("finish_reason"), "stop");
  EXPECT_EQ(body.at("cached"), false);
  EXPECT_GT(body.at("usage").at("prompt_tokens"), 0);
  EXPECT_EQ(body.at("usage").at("cached_tokens"), 0);
  EXPECT_FALSE(body.contains("reasoning"));
  EXPECT_EQ(generate(R"(,"thinking":true)").json().at("reasoning"), "Let me think.");
  EXPECT_EQ(ask(port(), post("/generate", R"({"prompt":"x<|endoftext|>","raw":true})")).json().at("generated_text"),
            "The answer is 42。");
}

TEST_F(Server, GenerateStreamsPiecesThenTheAnswerThenDone) {
  start();
  const HttpAnswer answer = generate(R"(,"stream":true,"thinking":true)");
  EXPECT_EQ(answer.header("Content-Type"), "text/event-stream");
  EXPECT_EQ(answer.header("Cache-Control"), "no-cache");
  EXPECT_EQ(answer.header("X-Accel-Buffering"), "no");
  const std::vector<std::string> events = sse_events(answer.body);
  ASSERT_GE(events.size(), 4u);
  EXPECT_EQ(events.back(), "[DONE]");
  std::string text, reasoning;
  for (size_t i = 0; i + 2 < events.size(); ++i) {
    const json event = json::parse(events[i]);
    EXPECT_EQ(event.size(), 1u);
    text += event.value("text", "");
    reasoning += event.value("reasoning", "");
  }
  const json last = json::parse(events[events.size() - 2]);
  EXPECT_EQ(text, "The answer is 42。");
  EXPECT_EQ(reasoning, "Let me think.");
  EXPECT_EQ(last.at("generated_text"), text);
  EXPECT_EQ(last.at("reasoning"), reasoning);
}

TEST_F(Server, ChatCompletion) {
  start();
  const json body = chat("").json();
  EXPECT_EQ(body.at("object"), "chat.completion");
  EXPECT_EQ(body.at("model"), "test-model");
  const json choice = body.at("choices").at(0);
  EXPECT_EQ(choice.at("message").at("content"), "The answer is 42。");
  EXPECT_EQ(choice.at("message").at("reasoning_content"), "Let me think.");
  EXPECT_EQ(choice.at("message").at("reasoning"), "Let me think.");
  EXPECT_FALSE(choice.at("message").contains("tool_calls"));
  EXPECT_EQ(choice.at("finish_reason"), "stop");
  const json usage = body.at("usage");
  EXPECT_EQ(usage.at("total_tokens").get<int>(),
            usage.at("prompt_tokens").get<int>() + usage.at("completion_tokens").get<int>());
  EXPECT_GT(usage.at("completion_tokens_details").at("reasoning_tokens"), 0);

  const json plain =
      chat(R"(,"chat_template_kwargs":{"enable_thinking":false})").json().at("choices").at(0).at("message");
  EXPECT_EQ(plain.at("content"), "The answer is 42。");
  EXPECT_FALSE(plain.contains("reasoning_content"));
  const json cut = chat(R"(,"max_tokens":2)").json().at("choices").at(0);
  EXPECT_TRUE(cut.at("message").at("content").is_null());
  EXPECT_EQ(cut.at("finish_reason"), "length");
}

TEST_F(Server, ChatStreamsInTheOrderThatClientsExpect) {
  start();
  const std::vector<std::string> events =
      sse_events(chat(R"(,"stream":true,"stream_options":{"include_usage":true})").body);
  ASSERT_GE(events.size(), 5u);
  EXPECT_EQ(events.back(), "[DONE]");
  const json first = json::parse(events[0]);
  EXPECT_EQ(first.at("choices").at(0).at("delta"), (json{{"role", "assistant"}, {"content", ""}}));
  std::string content, reasoning, finish;
  for (size_t i = 1; i + 2 < events.size(); ++i) {
    const json event = json::parse(events[i]);
    EXPECT_EQ(event.at("id"), first.at("id"));
    EXPECT_EQ(event.at("object"), "chat.completion.chunk");
    EXPECT_FALSE(event.contains("usage"));
    const json choice = event.at("choices").at(0), delta = choice.at("delta");
    EXPECT_FALSE(delta.contains("content") && delta.contains("reasoning_content"));
    EXPECT_TRUE(content.empty() || !delta.contains("reasoning_content"));
    content += delta.value("content", "");
    reasoning += delta.value("reasoning_content", "");
    if (!choice.at("finish_reason").is_null()) finish += choice.at("finish_reason").get<std::string>();
  }
  EXPECT_EQ(content, "The answer is 42。");
  EXPECT_EQ(reasoning, "Let me think.");
  EXPECT_EQ(finish, "stop");
  const json usage = json::parse(events[events.size() - 2]);
  EXPECT_TRUE(usage.at("choices").empty());
  EXPECT_GT(usage.at("usage").at("completion_tokens"), 0);
}

TEST_F(Server, ModelsAndInfo) {
  start();
  const json list = ask(port(), get("/v1/models")).json();
  EXPECT_EQ(list.at("object"), "list");
  EXPECT_EQ(list.at("data").at(0).at("id"), "test-model");
  EXPECT_GT(list.at("data").at(0).at("max_model_len"), 0);
  EXPECT_EQ(ask(port(), get("/v1/models/test-model")).json().at("id"), "test-model");
  expect_error(ask(port(), get("/v1/models/other")), 404, "model_not_found");
  expect_error(
      ask(port(), post("/v1/chat/completions", R"({"model":"../../etc","messages":[{"role":"user","content":"a"}]})")),
      404, "model_not_found");
  const json info = ask(port(), get("/model_info")).json();
  for (const char* field :
       {"model_type", "architecture", "parameters", "quantization", "context_length", "vocab_size", "dtype",
        "kv_cache_dtype", "device", "kernels", "fingerprint", "template_family", "demo", "default_sampling"})
    EXPECT_TRUE(info.contains(field)) << field;
  EXPECT_EQ(info.at("template_family"), "thinking-2507");
  EXPECT_EQ(info.at("default_sampling").at("generate").at("temperature"), 0.7);
}

TEST_F(Server, HealthAnswersWhileTheModelLoads) {
  start({}, false);
  scripted_->service.set_progress(42, 100);
  const HttpAnswer loading = ask(port(), get("/health"));
  EXPECT_EQ(loading.status, 503);
  EXPECT_FALSE(loading.header("Retry-After").empty());
  EXPECT_EQ(loading.json().at("status"), "loading");
  EXPECT_EQ(loading.json().at("model_loaded"), false);
  EXPECT_DOUBLE_EQ(loading.json().at("progress"), 0.42);
  EXPECT_EQ(ask(port(), get("/livez")).status, 200);
  EXPECT_EQ(ask(port(), get("/readyz")).status, 503);
  for (const char* path : {"/v1/models", "/model_info"}) expect_error(ask(port(), get(path)), 503, "loading");
  const HttpAnswer refused = generate("");
  expect_error(refused, 503, "loading");
  EXPECT_EQ(refused.header("Retry-After"), "5");
  EXPECT_EQ(refused.header("retry-after-ms"), "5000");
  scripted_->make_ready();
  const HttpAnswer ready = ask(port(), get("/health"));
  EXPECT_EQ(ready.status, 200);
  const json body = ready.json();
  EXPECT_EQ(body.at("status"), "healthy");
  EXPECT_EQ(body.at("gpu_available"), false);
  EXPECT_EQ(body.at("model_loaded"), true);
  for (const char* field : {"total_gb", "used_gb", "available_gb", "percent", "gpu_used_gb"})
    EXPECT_TRUE(body.at("memory_usage").at(field).is_number()) << field;
  EXPECT_GT(body.at("memory_usage").at("total_gb"), 0.0);
  EXPECT_TRUE(body.at("uptime_seconds").is_number());
  EXPECT_EQ(body.at("timestamp").get<std::string>().size(), 20u);
  EXPECT_EQ(ask(port(), get("/readyz")).status, 200);
}

TEST_F(Server, ErrorsHaveOneShape) {
  start();
  expect_error(generate(R"(,"temprature":1)"), 400, "unknown_parameter");
  expect_error(generate(R"(,"temperature":9)"), 400, "invalid_value");
  expect_error(generate(R"(,"max_length":1000000)"), 400, "context_length_exceeded");
  expect_error(ask(port(), post("/generate", "{\"prompt\":\"a\"}\n{}")), 400, "invalid_value");
  expect_error(chat(R"(,"logprobs":true)"), 400, "unsupported_parameter");
  expect_error(chat(R"(,"logit_bias":{"999999":1})"), 400, "invalid_value");
  expect_error(ask(port(), get("/generate")), 405, "method_not_allowed");
  const json error = generate(R"(,"max_length":1000000)").json().at("error");
  EXPECT_GT(error.at("n_prompt_tokens"), 0);
  EXPECT_EQ(error.at("n_ctx"), scripted_->service.model()->engine->max_model_len());
  EXPECT_EQ(generate("").json().at("generated_text"), "The answer is 42。");
}

TEST_F(Server, AClientThatLeavesFreesItsSequence) {
  start();
  scripted_->echo(100'000);
  scripted_->control().set_delay(milliseconds(2));
  for (const char* path : {"/generate", "/v1/chat/completions"}) {
    for (const bool reset : {false, true}) {
      RawClient client = streaming_client(path);
      EXPECT_TRUE(eventually([&] { return scripted_->service.stats().running == 1; }));
      reset ? client.reset() : client.close();
      EXPECT_TRUE(becomes_idle()) << path;
    }
  }
  RawClient waiting(port());  // no stream: nothing was sent yet
  waiting.send(post("/generate", R"({"prompt":"hi","max_length":3000})"));
  ASSERT_TRUE(eventually([&] { return scripted_->service.stats().running == 1; }));
  waiting.close();
  EXPECT_TRUE(becomes_idle());
}

TEST_F(Server, AClientThatLeavesWhileQueuedIsForgotten) {
  start({.max_num_seqs = 1});
  scripted_->echo(100'000);
  scripted_->control().set_delay(milliseconds(2));
  RawClient first = streaming_client();
  std::vector<RawClient> queued;
  for (int i = 0; i < 5; ++i) {
    queued.emplace_back(port());
    queued.back().send(post("/generate", R"({"prompt":"hi","max_length":3000})"));
  }
  ASSERT_TRUE(eventually([&] { return scripted_->service.stats().waiting == 5; }));
  queued.clear();
  EXPECT_TRUE(eventually([&] { return scripted_->service.stats().waiting == 0; }, kASecond));
  EXPECT_EQ(scripted_->service.stats().running, 1);
}

TEST_F(Server, AFullQueueIs503) {
  start({.max_num_seqs = 1, .max_waiting = 1});
  scripted_->echo(100'000);
  scripted_->control().set_delay(milliseconds(2));
  RawClient first = streaming_client(), second(port());
  second.send(post("/generate", R"({"prompt":"hi","max_length":3000})"));
  ASSERT_TRUE(eventually([&] { return scripted_->service.stats().waiting == 1; }));
  const HttpAnswer refused = generate("");
  expect_error(refused, 503, "server_overloaded");
  EXPECT_EQ(refused.header("Retry-After"), "1");
}

// An answer that names its prompt keeps it for as long as it takes, so its share of the memory stays taken.
TEST_F(Server, LargeBodiesCountUntilTheirAnswersEnd) {
  config_.http.max_buffered_body_bytes = 150'000;
  start();
  scripted_->echo(100'000);
  scripted_->control().set_delay(milliseconds(2));
  const std::string padding(100'000, ' ');
  const std::string large = post("/generate", R"({"prompt":"hi","max_length":5)" + padding + "}");
  RawClient first(port());
  first.send(post("/generate", R"({"prompt":"hi","max_length":3000,"stream":true)" + padding + "}"));
  ASSERT_NE(first.read_until("data: "), "");
  expect_error(ask(port(), large), 503, "server_overloaded");
  EXPECT_TRUE(eventually([&] {  // counted once the answer is out
    return ask(port(), get("/metrics")).body.find("qwen_rejected_total{reason=\"memory\"} 1\n") != std::string::npos;
  }));
  const std::string metrics = ask(port(), get("/metrics")).body;
  EXPECT_NE(metrics.find("qwen_rejected_total{reason=\"queue_full\"} 0\n"), std::string::npos);
  first.close();
  EXPECT_TRUE(becomes_idle());
  EXPECT_EQ(ask(port(), large).status, 200);
}

TEST_F(Server, AFailureInMidStreamIsAnEventAndThenDone) {
  start();
  scripted_->echo(100'000);
  scripted_->control().fail_steps(20, 1);
  const std::vector<std::string> events = sse_events(generate(R"(,"stream":true)").body);
  ASSERT_GE(events.size(), 3u);
  EXPECT_EQ(events.back(), "[DONE]");
  EXPECT_EQ(json::parse(events[events.size() - 2]).at("error").at("code"), "internal_error");
  scripted_->control().fail_steps(scripted_->control().steps() + 5, 1);
  expect_error(generate(R"(,"max_length":50)"), 500, "internal_error");
  EXPECT_EQ(generate(R"(,"max_length":5)").status, 200);
  EXPECT_TRUE(becomes_idle());
}

TEST_F(Server, DeadlinesEndRequests) {
  config_.request_timeout = std::chrono::seconds(1);
  start({.max_num_seqs = 1});
  scripted_->echo(100'000);
  scripted_->control().set_delay(milliseconds(5));
  RawClient first(port());
  first.send(post("/generate", R"({"prompt":"hi","max_length":3000})"));
  ASSERT_TRUE(eventually([&] { return scripted_->service.stats().running == 1; }));
  const HttpAnswer queued = generate("");
  const HttpAnswer cut = first.read_answer();
  EXPECT_EQ(cut.json().at("finish_reason"), "cancelled");
  EXPECT_EQ(cut.json().at("timed_out"), true);
  EXPECT_GT(cut.json().at("token_count"), 0);
  // The second either never started or got what was left of its own second.
  EXPECT_TRUE(queued.status == 504 || queued.status == 200) << queued.body;
}

// On /v1 clients know no word but "length"; a member of our own tells it apart from max_tokens.
TEST_F(Server, OpenAiAnswersTellATimeLimitFromALengthLimit) {
  start();
  scripted_->echo(100'000);
  scripted_->control().set_delay(milliseconds(5));
  const json cut = chat(R"(,"enable_thinking":false,"deadline_ms":300)").json().at("choices").at(0);
  EXPECT_EQ(cut.at("finish_reason"), "length");
  EXPECT_EQ(cut.at("timed_out"), true);
  const std::string streamed = chat(R"(,"enable_thinking":false,"deadline_ms":300,"stream":true)").body;
  EXPECT_NE(streamed.find(R"("finish_reason":"length","stop_reason":null,"timed_out":true)"), std::string::npos);
  const json full = chat(R"(,"enable_thinking":false,"max_tokens":2)").json().at("choices").at(0);
  EXPECT_EQ(full.at("finish_reason"), "length");
  EXPECT_FALSE(full.contains("timed_out"));
  EXPECT_FALSE(generate(R"(,"max_length":2)").json().contains("timed_out"));
}

TEST_F(Server, WhatDoesNotFitIsNamedAsItWasAskedFor) {
  start();
  for (const char* field : {"max_length", "max_tokens", "max_new_tokens"}) {
    const json error = generate(str(",\"", field, "\":100000")).json().at("error");
    EXPECT_EQ(error.at("code"), "context_length_exceeded");
    EXPECT_EQ(error.at("param"), field);
    const int most = error.at("n_ctx").get<int>() - error.at("n_prompt_tokens").get<int>();
    EXPECT_EQ(error.at("message").get<std::string>().find(str(field, " must be at most ", most, " with this prompt")),
              0u)
        << error;
  }
  for (const char* field : {"max_tokens", "max_completion_tokens"}) {
    const json error = chat(str(",\"", field, "\":100000")).json().at("error");
    EXPECT_EQ(error.at("param"), field);
    EXPECT_NE(error.at("message").get<std::string>().find("100000 in the completion"), std::string::npos) << error;
  }
}

TEST_F(Server, ARequestThatWaitsTooLongForItsTurnIs503) {
  config_.max_wait = std::chrono::seconds(1);
  start({.max_num_seqs = 1});
  scripted_->echo(100'000);
  scripted_->control().set_delay(milliseconds(2));
  RawClient first = streaming_client();
  for (const auto& [path, body] : {std::pair("/generate", R"({"prompt":"hi"})"),
                                   {"/thinking", R"({"question":"hi"})"},
                                   {"/batch_generate", R"({"prompts":["hi","ho"]})"},
                                   {"/v1/completions", R"({"prompt":"hi","n":2})"},
                                   {"/v1/chat/completions", R"({"messages":[{"role":"user","content":"hi"}]})"}}) {
    const auto begin = std::chrono::steady_clock::now();
    const HttpAnswer refused = ask(port(), post(path, body));
    expect_error(refused, 503, "server_overloaded");
    EXPECT_EQ(refused.header("Retry-After"), "10");
    EXPECT_GE(std::chrono::steady_clock::now() - begin, milliseconds(900)) << path;
  }
  EXPECT_EQ(scripted_->service.stats().running, 1) << "who has begun is not ended";
  const std::vector<std::string> events = sse_events(generate(R"(,"stream":true)").body);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(json::parse(events[0]).at("error").at("code"), "server_overloaded");
  const std::string metrics = ask(port(), get("/metrics")).body;
  EXPECT_NE(metrics.find("qwen_rejected_total{reason=\"queue_full\"} 0\n"), std::string::npos);
}

TEST_F(Server, OfSeveralPromptsOnlyTheFirstOnesWaitIsLimited) {
  config_.max_wait = std::chrono::seconds(1);
  start({.max_num_seqs = 1});
  scripted_->say(std::string(700, 'a'), "");
  scripted_->control().set_delay(milliseconds(2));
  for (const auto& [path, body] : {std::pair("/batch_generate", R"({"prompts":["a","b"],"max_length":700})"),
                                   {"/v1/completions", R"({"prompt":["a","b"],"max_tokens":700})"},
                                   {"/v1/completions", R"({"prompt":"a","n":2,"max_tokens":700})"}}) {
    const HttpAnswer several = ask(port(), post(path, body));
    EXPECT_EQ(several.status, 200) << path;
    EXPECT_EQ(several.body.find("error"), std::string::npos) << several.body;
  }
}

TEST_F(Server, ManyStreamsAllFinishAndEachIsItsOwn) {
  EngineOptions options;
  options.max_num_seqs = 32;
  start(options);
  scripted_->echo(40);
  constexpr int kStreams = 300;
  std::vector<RawClient> clients;
  for (int i = 0; i < kStreams; ++i) {
    clients.emplace_back(port());
    ASSERT_TRUE(clients.back().connected());
    ASSERT_TRUE(clients.back().send(
        post("/generate", "{\"prompt\":\"number " + std::to_string(i) + "\",\"max_length\":100,\"stream\":true}")));
  }
  for (int i = 0; i < kStreams; ++i) {
    const std::vector<std::string> events = sse_events(clients[static_cast<size_t>(i)].read_answer().body);
    ASSERT_GE(events.size(), 3u) << i;
    EXPECT_EQ(events.back(), "[DONE]");
    const json answer = json::parse(events[events.size() - 2]);
    EXPECT_EQ(answer.at("generated_text"), scripted_->echoed("number " + std::to_string(i), 40));
    std::string joined;
    for (size_t e = 0; e + 2 < events.size(); ++e) joined += json::parse(events[e]).value("text", "");
    EXPECT_EQ(joined, answer.at("generated_text"));
  }
  EXPECT_TRUE(becomes_idle());
  clients.clear();
  EXPECT_TRUE(eventually([&] { return server_->open_connections() == 0; }));
}

TEST_F(Server, KillingClientsInMidStreamLeavesNothingBehind) {
  start();
  scripted_->echo(100'000);
  scripted_->control().set_delay(milliseconds(1));
  std::vector<RawClient> clients;
  for (int i = 0; i < 60; ++i) {
    clients.emplace_back(port());
    clients.back().send(post("/generate", R"({"prompt":"hi","max_length":3000,"stream":true})"));
  }
  ASSERT_TRUE(
      eventually([&] { return scripted_->service.stats().running + scripted_->service.stats().waiting == 60; }));
  clients.clear();
  EXPECT_TRUE(becomes_idle());
  EXPECT_TRUE(eventually([&] { return server_->open_connections() == 0; }));
}

TEST_F(Server, ASlowReaderDelaysNobody) {
  start();
  scripted_->echo(3000);
  RawClient slow(port(), 4096);
  slow.send(post("/generate", R"({"prompt":"hi","max_length":3000,"stream":true})"));
  ASSERT_TRUE(eventually([&] { return scripted_->service.stats().generated_tokens > 10; }));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(generate(R"(,"max_length":5)").status, 200);
  EXPECT_TRUE(becomes_idle(20 * kASecond));  // the engine finished it without waiting for its reader
}

TEST_F(Server, StopLetsRunningAnswersFinish) {
  start();
  scripted_->echo(200);
  scripted_->control().set_delay(milliseconds(2));
  RawClient client = streaming_client();
  RawClient idle(port());
  idle.send(get("/health"));
  idle.read_answer();
  std::thread stopper([&] { server_->stop(milliseconds(20'000)); });
  EXPECT_TRUE(idle.closed_by_server());
  const std::string rest = client.read_to_end();
  EXPECT_NE(rest.find("generated_text"), std::string::npos);
  EXPECT_NE(rest.find("data: [DONE]\n\n"), std::string::npos);
  stopper.join();
  RawClient late(port());
  EXPECT_FALSE(late.connected() && late.send(get("/health")) && late.read_answer().status != 0);
}

TEST_F(Server, StopEndsWhatDoesNotFinishWithAnError) {
  start();
  scripted_->echo(100'000);
  scripted_->control().set_delay(milliseconds(2));
  RawClient stream = streaming_client(), whole(port());
  whole.send(post("/generate", R"({"prompt":"hi","max_length":3000})"));
  ASSERT_TRUE(eventually([&] { return scripted_->service.stats().running == 2; }));
  const auto begin = std::chrono::steady_clock::now();
  server_->stop(milliseconds(200));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
  const std::string rest = stream.read_to_end();
  EXPECT_NE(rest.find("\"code\":\"draining\""), std::string::npos);
  EXPECT_NE(rest.find("data: [DONE]\n\n"), std::string::npos);
  expect_error(whole.read_answer(), 503, "draining");
}

TEST_F(Server, EveryRouteAnswersHeadOptionsAndWrongMethods) {
  start();
  WorkerPool workers(1, 1);
  const HandlerContext context{config_, scripted_->service, workers};
  const RouteTable table = make_routes(context);
  for (const Route& route : table.routes()) {
    const std::string path = route.path.back() == '*' ? "/v1/models/test-model" : route.path;
    EXPECT_EQ(ask(port(), "OPTIONS " + path + " HTTP/1.1\r\nHost: a\r\n\r\n").status, 204) << path;
    RawClient client(port());
    client.send("HEAD " + path + " HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(client.read_answer(true).status, route.method == "GET" ? 200 : 405) << path;
    EXPECT_EQ(ask(port(), "DELETE " + path + " HTTP/1.1\r\nHost: a\r\n\r\n").status, 405) << path;
  }
}

}  // namespace
}  // namespace qwen::test
