// Control requests over HTTP, on a service whose model says what it is told to: answer now, cancel, how far is it.
#include <thread>

#include "metrics/metrics.h"
#include "server_fixture.h"
#include "thinking/thinking_budget.h"

namespace qwen::test {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

class RequestControl : public Server {
 protected:
  // A thought of some hundred words and an answer of as many, a millisecond each.
  void begin() {
    start();
    std::string thought, answer;
    for (int i = 0; i < 700; ++i) (thought += " think"), answer += " word";
    scripted_->say(answer + "<|im_end|>", thought + "\n</think>\n\n" + answer + "<|im_end|>");
    scripted_->control().set_delay(milliseconds(1));
  }
  static std::string with_id(const std::string& path, const std::string& body, const std::string& id,
                             const std::string& key = "") {
    std::string request = post(path, body);
    const std::string more = "X-Request-Id: " + id + "\r\n" + (key.empty() ? "" : "X-API-Key: " + key + "\r\n");
    return request.insert(request.find("\r\n") + 2, more);
  }
  HttpAnswer control(const std::string& id, const std::string& verb, const std::string& key = "") {
    return ask(port(), with_id("/requests/" + id + "/" + verb, "", "c", key));
  }
  HttpAnswer tell(const std::string& id, const std::string& key = "") {
    std::string request = get("/requests/" + id);
    if (!key.empty()) request.insert(request.find("\r\n") + 2, "X-API-Key: " + key + "\r\n");
    return ask(port(), request);
  }
  bool becomes(const std::string& id, const std::string& state, const std::string& key = "") {
    return eventually([&] {
      const HttpAnswer answer = tell(id, key);
      return answer.status == 200 && answer.json().at("state") == state && answer.json().at("completion_tokens") > 3;
    });
  }
  void expect_error(const HttpAnswer& answer, int status, const char* code) {
    EXPECT_EQ(answer.status, status) << answer.body;
    EXPECT_EQ(answer.error_code(), code);
  }
  double thoughts(const char* ended_by) const { return scripted_->service.metrics().thoughts.with({ended_by}).value(); }
};

constexpr const char* kQuestion = R"({"question":"hi","thinking_budget":2000,"max_length":20})";

TEST_F(RequestControl, FinishThinkingGivesTheAnswerOnItsOwnConnection) {
  begin();
  RawClient client(port());
  client.send(with_id("/thinking", kQuestion, "mine"));
  ASSERT_TRUE(becomes("mine", "thinking"));
  const HttpAnswer done = control("mine", "finish_thinking");
  EXPECT_EQ(done.status, 200) << done.body;
  EXPECT_EQ(done.json().at("id"), "mine");
  EXPECT_EQ(done.json().at("thoughts_finished"), 1);
  EXPECT_GT(done.json().at("reasoning_tokens"), 0);
  const json answer = client.read_answer().json();
  EXPECT_EQ(answer.at("thinking").at("ended_by"), "client");
  EXPECT_LT(answer.at("thinking").at("tokens"), 700);
  const std::string thought = answer.at("thinking_process");
  EXPECT_NE(thought.find(kEarlyStopSentence), std::string::npos);
  EXPECT_NE(answer.at("final_answer"), "");
  EXPECT_NE(answer.at("finish_reason"), "cancelled");
  EXPECT_EQ(thoughts("client"), 1);
  expect_error(tell("mine"), 404, "request_not_here");
  EXPECT_TRUE(becomes_idle());
}

TEST_F(RequestControl, FinishThinkingReachesEveryPathAndPrompt) {
  begin();
  RawClient chat(port()), batch(port());
  chat.send(with_id("/v1/chat/completions",
                    R"({"messages":[{"role":"user","content":"a"}],"n":3,"max_tokens":1000,"temperature":1})",
                    "paths"));
  ASSERT_TRUE(becomes("paths", "thinking"));
  EXPECT_EQ(tell("paths").json().at("generations"), 3);
  EXPECT_EQ(control("paths", "finish_thinking").json().at("thoughts_finished"), 3);
  control("paths", "cancel");
  const json choices = chat.read_answer().json().at("choices");
  for (const json& choice : choices)
    EXPECT_NE(std::string(choice.at("message").at("reasoning_content")).find("think"), std::string::npos);
  batch.send(with_id("/batch_generate",
                     R"({"prompts":["a","b"],"thinking":true,"thinking_budget":2000,"max_length":1000})", "prompts"));
  ASSERT_TRUE(becomes("prompts", "thinking"));
  EXPECT_EQ(control("prompts", "finish_thinking").json().at("thoughts_finished"), 2);
  const json results = batch.read_answer().json().at("results");
  for (const json& result : results)
    EXPECT_NE(std::string(result.at("reasoning")).find(kEarlyStopSentence), std::string::npos);
}

// Greedy paths are one computation where there is a cache; another request that reads it has its say.
TEST_F(RequestControl, PathsOfOneRequestAskTogether) {
  config_.cache_enable = true;
  begin();
  const char* const body =
      R"({"messages":[{"role":"user","content":"a"}],"n":2,"max_tokens":1000,"temperature":0,"thinking_budget":2000})";
  RawClient first(port()), second(port());
  first.send(with_id("/v1/chat/completions", body, "a"));
  ASSERT_TRUE(becomes("a", "thinking"));
  second.send(with_id("/v1/chat/completions", body, "b"));
  ASSERT_TRUE(becomes("b", "thinking"));
  expect_error(control("a", "finish_thinking"), 409, "thought_shared");
  EXPECT_EQ(control("b", "cancel").status, 200);
  EXPECT_EQ(second.read_answer().json().at("choices").at(0).at("finish_reason"), "cancelled");
  // It was the only one that had not asked.
  const json answer = first.read_answer().json();
  EXPECT_NE(std::string(answer.at("choices").at(1).at("message").at("reasoning_content")).find(kEarlyStopSentence),
            std::string::npos);
}

TEST_F(RequestControl, ThereMayBeNoThoughtToFinish) {
  begin();
  RawClient client(port());
  client.send(with_id("/generate", R"({"prompt":"hi","max_length":600})", "plain"));
  ASSERT_TRUE(becomes("plain", "answering"));
  expect_error(control("plain", "finish_thinking"), 409, "no_thought");
  EXPECT_EQ(control("plain", "cancel").status, 200);
}

TEST_F(RequestControl, OneThatHasNotBegunThinksNotAtAll) {
  begin();
  scripted_->control().pause();
  RawClient client(port());
  client.send(with_id("/thinking", kQuestion, "early"));
  ASSERT_TRUE(scripted_->control().wait_until_paused(kASecond * 5));
  ASSERT_TRUE(eventually([&] { return tell("early").json().value("state", "") == "queued"; }));
  EXPECT_EQ(control("early", "finish_thinking").status, 200);
  scripted_->control().resume();
  const json answer = client.read_answer().json();
  EXPECT_EQ(answer.at("thinking").at("ended_by"), "client");
  // The token that was under way, and the sentence.
  EXPECT_LE(answer.at("thinking").at("tokens"),
            2 + scripted_->tokenizer().encode(std::string("\n\n").append(kEarlyStopSentence)).size());
}

TEST_F(RequestControl, CancelGivesWhatHasCome) {
  begin();
  RawClient client(port());
  client.send(with_id("/generate", R"({"prompt":"hi","max_length":600})", "x"));
  ASSERT_TRUE(becomes("x", "answering"));
  const HttpAnswer done = control("x", "cancel");
  EXPECT_EQ(done.status, 200);
  EXPECT_EQ(done.json().at("generations_cancelled"), 1);
  const HttpAnswer answer = client.read_answer();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.json().at("finish_reason"), "cancelled");
  EXPECT_FALSE(answer.json().contains("timed_out"));
  EXPECT_NE(std::string(answer.json().at("generated_text")).find("word"), std::string::npos);
  EXPECT_TRUE(becomes_idle());
  expect_error(control("x", "cancel"), 404, "request_not_here");
}

TEST_F(RequestControl, ACancelledStreamEndsAsStreamsDo) {
  begin();
  for (const char* path : {"/generate", "/v1/chat/completions"}) {
    RawClient client(port());
    client.send(with_id(path,
                        std::string(path) == "/generate"
                            ? R"({"prompt":"hi","max_length":600,"stream":true})"
                            : R"({"messages":[{"role":"user","content":"hi"}],"stream":true})",
                        "s"));
    EXPECT_NE(client.read_until("data: "), "");
    EXPECT_EQ(control("s", "cancel").status, 200);
    const std::string rest = client.read_until("0\r\n\r\n");
    EXPECT_NE(rest.find(R"("finish_reason":"cancelled")"), std::string::npos) << rest;
    EXPECT_NE(rest.find("data: [DONE]"), std::string::npos);
    client.send(get("/livez"));
    EXPECT_EQ(client.read_answer().status, 200) << "the connection goes on";
  }
  EXPECT_TRUE(becomes_idle());
  EXPECT_EQ(scripted_->service.metrics().finished.with({"abort"}).value(), 2);
}

TEST_F(RequestControl, AQueuedOneIsCancelledToo) {
  begin();
  scripted_->control().pause();
  RawClient client(port());
  client.send(with_id("/generate", R"({"prompt":"hi"})", "q"));
  ASSERT_TRUE(eventually([&] { return control("q", "cancel").status == 200; }));
  scripted_->control().resume();
  const json answer = client.read_answer().json();
  EXPECT_EQ(answer.at("generated_text"), "");
  EXPECT_EQ(answer.at("finish_reason"), "cancelled");
  EXPECT_TRUE(becomes_idle());
}

TEST_F(RequestControl, TheIdOfTheServiceWorksAsWell) {
  begin();
  RawClient client(port());
  client.send(post("/generate", R"({"prompt":"hi","max_length":600,"stream":true})"));
  const HttpAnswer head = client.read_answer(true);
  const std::string id = head.header("X-Request-Id");
  EXPECT_EQ(id.substr(0, 4), "req-");
  EXPECT_EQ(control(id, "cancel").status, 200);
}

TEST_F(RequestControl, WhatIsNotHereIsNotFound) {
  begin();
  for (const std::string& id : {std::string("none"), std::string("req-w0-0123"), std::string("a%20b"),
                                std::string(65, 'a'), std::string("..%2e"), std::string("%e4%b8%ad")}) {
    for (const char* verb : {"cancel", "finish_thinking"}) expect_error(control(id, verb), 404, "request_not_here");
    expect_error(tell(id), 404, "request_not_here");
  }
  expect_error(control("a", "stop"), 405, "method_not_allowed");  // GET /requests/* has longer tails
  expect_error(ask(port(), post("/requests/a/b/cancel", "")), 405, "method_not_allowed");
  expect_error(ask(port(), post("/requests//cancel", "")), 405, "method_not_allowed");
  expect_error(ask(port(), get("/requests/")), 404, "not_found");
}

TEST_F(RequestControl, AnotherKeysRequestDoesNotExist) {
  config_.api_keys = {{"ann", {.key = "ann-key"}},
                      {"bob", {.key = "bob-key"}},
                      {"root", {.key = "root-key", .scopes = {false, false, true}}},
                      {"eye", {.key = "eye-key", .scopes = {false, true, false}}}};
  config_.requests_per_minute = 1;  // used up by the request itself
  begin();
  RawClient client(port());
  client.send(with_id("/generate", R"({"prompt":"hi","max_length":600})", "x", "ann-key"));
  ASSERT_TRUE(becomes("x", "answering", "ann-key"));
  for (const char* verb : {"cancel", "finish_thinking"}) {
    const HttpAnswer others = control("x", verb, "bob-key"), nobodys = control("y", verb, "bob-key");
    expect_error(others, 404, "request_not_here");
    EXPECT_EQ(others.body, nobodys.body);
    expect_error(control("x", verb), 401, "invalid_api_key");
    expect_error(control("x", verb, "eye-key"), 403, "insufficient_scope");
  }
  expect_error(tell("x", "bob-key"), 404, "request_not_here");
  EXPECT_EQ(tell("x", "root-key").status, 200);
  EXPECT_EQ(control("x", "cancel", "ann-key").status, 200);
  EXPECT_EQ(client.read_answer().json().at("finish_reason"), "cancelled");
}

// Its prompt is still being read: there is nothing to end, and what comes of the request does not change.
TEST_F(RequestControl, OneThatHasNotBegunIsNotCancelled) {
  begin();
  std::string words;
  for (int i = 0; i < 200'000; ++i) words += " word";
  const std::string prompt = R"({"prompt":")" + words + R"(","stream":)";
  const std::string chat = R"({"messages":[{"role":"user","content":")" + words + R"("}],"stream":)";
  const std::pair<const char*, std::string> bodies[] = {
      {"/generate", prompt},
      {"/thinking", R"({"question":")" + words + R"(","stream":)"},
      {"/batch_generate", R"({"prompts":[")" + words + R"("],"stream":)"},
      {"/v1/completions", prompt},
      {"/v1/chat/completions", chat}};
  int refused = 0;
  for (const auto& [path, body] : bodies) {
    for (const char* stream : {"false}", "true}"}) {
      SCOPED_TRACE(str(path, ' ', stream));
      RawClient client(port());
      client.send(with_id(path, body + stream, "early"));
      const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(1);
      bool early = false;
      while (!early && std::chrono::steady_clock::now() < end)
        early = control("early", "cancel").error_code() == "request_not_begun";
      refused += early ? 1 : 0;
      const HttpAnswer answer = client.read_answer();
      EXPECT_TRUE(answer.status == 400 ||
                  (answer.status == 200 && answer.body.find("context_length_exceeded") != std::string::npos))
          << answer.status << answer.body;
    }
  }
  EXPECT_GT(refused, 0);
  EXPECT_TRUE(becomes_idle());
}

TEST_F(RequestControl, WhoHasLeftIsNotHere) {
  begin();
  {
    RawClient client(port());
    client.send(with_id("/generate", R"({"prompt":"hi","max_length":600})", "x"));
    ASSERT_TRUE(becomes("x", "answering"));
  }
  EXPECT_TRUE(eventually([&] { return control("x", "cancel").status == 404; }));
}

TEST_F(RequestControl, ItsOwnRequestsCountAsNoWork) {
  begin();
  control("none", "cancel");
  const Metrics& metrics = scripted_->service.metrics();
  EXPECT_TRUE(eventually([&] {
    return metrics.http_requests.with({"404", "POST", "/requests/*/cancel"}).value() == 1;
  }));
  EXPECT_EQ(ask(port(), get("/metrics")).body.find(R"(qwen_requests_total{route="/requests)"), std::string::npos);
  EXPECT_EQ(ask(port(), get("/stats")).json().at("failed_requests"), 0);
}

}  // namespace
}  // namespace qwen::test
