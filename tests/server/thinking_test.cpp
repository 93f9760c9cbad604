// POST /thinking and the thinking limits of the other routes, from the fields to the tokens.
#include <gtest/gtest.h>

#include <thread>

#include "raw_client.h"
#include "server/api/chat_types.h"
#include "server/api/errors.h"
#include "server/api/native_types.h"
#include "server/api/request_json.h"
#include "server/api/thinking_types.h"
#include "server/server.h"
#include "service_fixture.h"

namespace qwen::test {
namespace {

using nlohmann::json;

template <typename Parse>
std::string verdict(Parse parse, const std::string& body) {
  try {
    parse(parse_request(body));
    return "";
  } catch (...) {
    const ApiError error = to_api_error(std::current_exception(), "id");
    EXPECT_EQ(error.status, 400) << body;
    return error.code + " " + error.param;
  }
}
std::string thinking(const std::string& fields) {
  return verdict(parse_thinking_request, "{\"question\":\"a\"" + fields + "}");
}
std::string generate(const std::string& fields) {
  return verdict(parse_generate_request, "{\"prompt\":\"a\"" + fields + "}");
}
DeepThinkingRequest parsed(const std::string& fields) {
  return parse_thinking_request(parse_request("{\"question\":\"a\"" + fields + "}"));
}
ThinkingFields chat_limits(const std::string& fields) {
  return parse_chat_request(parse_request(R"({"messages":[{"role":"user","content":"a"}])" + fields + "}")).limits;
}

TEST(ThinkingRequestFields, Defaults) {
  const DeepThinkingRequest request = parsed("");
  EXPECT_EQ(request.thinking_depth, 3);
  EXPECT_TRUE(request.include_reasoning);
  EXPECT_FALSE(request.stream);
  EXPECT_FALSE(request.limits.budget || request.limits.time || request.limits.deadline || request.max_length);
}

TEST(ThinkingRequestFields, WrongOnesAreNamed) {
  EXPECT_EQ(verdict(parse_thinking_request, "{}"), "invalid_value question");
  EXPECT_EQ(verdict(parse_thinking_request, "{\"question\":\"\"}"), "invalid_value question");
  for (const char* row : {"question:1",
                          "context:1",
                          "system:[]",
                          "thinking_depth:0",
                          "thinking_depth:11",
                          "thinking_depth:2.5",
                          "thinking_depth:\"3\"",
                          "include_reasoning:1",
                          "thinking_budget:-2",
                          "thinking_budget:2147483648",
                          "thinking_time_ms:0",
                          "thinking_time_ms:86400001",
                          "deadline_ms:0",
                          "deadline_ms:86400001",
                          "num_paths:0",
                          "num_paths:17",
                          "max_length:0",
                          "temperature:3",
                          "stream:1",
                          "do_sample:0"}) {
    const std::string text = row;
    const std::string field = text.substr(0, text.find(':')), value = text.substr(text.find(':'));
    const std::string body =
        field == "question" ? "{\"question\"" + value + "}" : "{\"question\":\"a\",\"" + field + "\"" + value + "}";
    EXPECT_EQ(verdict(parse_thinking_request, body), "invalid_value " + field) << row;
  }
  EXPECT_EQ(thinking(R"(,"deadline_ms":null,"context":null,"num_paths":null)"), "");
  EXPECT_EQ(thinking(R"(,"num_paths":2)"), "unsupported_parameter num_paths");
  EXPECT_EQ(thinking(R"(,"prompt":"b")"), "unknown_parameter prompt");
  EXPECT_EQ(thinking(R"(,"thinking_dept":2)"), "unknown_parameter thinking_dept");
  EXPECT_EQ(thinking(R"(,"deadline_ms":86400000,"thinking_time_ms":1,"num_paths":1,"thinking_depth":10)"), "");
}

TEST(ThinkingRequestFields, EveryNameOfTheBudgetIsUnderstood) {
  for (const char* name : {"thinking_budget", "thinking_token_budget", "thinking_budget_tokens",
                           "reasoning_budget_tokens", "reasoning_budget"}) {
    const std::string field = str(",\"", name, "\":7");
    EXPECT_EQ(parsed(field).limits.budget, 7) << name;
    EXPECT_EQ(chat_limits(field).budget, 7) << name;
    EXPECT_EQ(generate(field + ",\"thinking\":true"), "") << name;
    EXPECT_EQ(generate(field), "invalid_value thinking_budget") << name;
  }
  EXPECT_EQ(thinking(R"(,"thinking_budget":7,"reasoning_budget":7)"), "");
  EXPECT_EQ(thinking(R"(,"thinking_budget":7,"reasoning_budget":8)"), "invalid_value reasoning_budget");
  EXPECT_EQ(generate(R"(,"deadline_ms":0)"), "invalid_value deadline_ms");
}

TEST(ThinkingRequestFields, EffortIsABudget) {
  EXPECT_EQ(chat_limits(R"(,"reasoning_effort":"low")").budget, 1024);
  EXPECT_EQ(chat_limits(R"(,"reasoning_effort":"max")").budget, -1);
  EXPECT_EQ(chat_limits(R"(,"reasoning_effort":null)").budget, std::nullopt);
  EXPECT_EQ(chat_limits(R"(,"reasoning_effort":"none")").budget, 0);
  EXPECT_ANY_THROW(chat_limits(R"(,"reasoning_effort":"huge")"));
  EXPECT_ANY_THROW(chat_limits(R"(,"reasoning_effort":"low","thinking_budget":5)"));
}

TEST(ThinkingRequestFields, ChatUnderstandsOtherServicesWords) {
  const auto chat = [](const std::string& fields) {
    return parse_chat_request(parse_request(R"({"messages":[{"role":"user","content":"a"}],)" + fields + "}"));
  };
  for (const char* off : {R"("enable_thinking":false)", R"("thinking":{"type":"disabled"})", R"("thinking":false)",
                          R"("chat_template_kwargs":{"enable_thinking":false,"thinking":false})",
                          R"("chat_template_kwargs":{"thinking_budget":0})", R"("custom_params":{"thinking_budget":0})",
                          R"("thinking":{"type":"enabled","budget_tokens":0})"}) {
    EXPECT_FALSE(chat(off).conversation.options.thinking) << off;
    EXPECT_EQ(chat(off).conversation.options.enable_thinking, false) << off;
  }
  for (const char* on : {R"("enable_thinking":true)", R"("thinking":{"type":"enabled"})", R"("thinking":null)"})
    EXPECT_TRUE(chat(on).conversation.options.thinking) << on;
  EXPECT_EQ(chat(R"("thinking":{"type":"enabled","budget_tokens":70,"display":"x"})").limits.budget, 70);
  EXPECT_EQ(chat(R"("chat_template_kwargs":{"thinking_budget":7})").limits.budget, 7);
  EXPECT_EQ(chat(R"("custom_params":{"thinking_budget":7,"other":1},"thinking_budget":7)").limits.budget, 7);

  const auto refused = [](const std::string& fields) {
    return verdict(parse_chat_request, R"({"messages":[{"role":"user","content":"a"}],)" + fields + "}");
  };
  EXPECT_EQ(refused(R"("enable_thinking":true,"chat_template_kwargs":{"enable_thinking":false})"),
            "invalid_value chat_template_kwargs.enable_thinking");
  EXPECT_EQ(refused(R"("enable_thinking":false,"thinking":{"type":"enabled"})"), "invalid_value thinking.type");
  EXPECT_EQ(refused(R"("thinking_budget":5,"thinking":{"type":"enabled","budget_tokens":6})"),
            "invalid_value thinking.budget_tokens");
  EXPECT_EQ(refused(R"("thinking_budget":5,"chat_template_kwargs":{"thinking_budget":6})"),
            "invalid_value chat_template_kwargs.thinking_budget");
  EXPECT_EQ(refused(R"("thinking_budget":5,"custom_params":{"thinking_budget":6})"),
            "invalid_value custom_params.thinking_budget");
  EXPECT_EQ(refused(R"("thinking":{"type":"adaptive"})"), "invalid_value thinking.type");
  EXPECT_EQ(refused(R"("thinking":{})"), "invalid_value thinking.type");
  EXPECT_EQ(refused(R"("thinking":"on")"), "invalid_value thinking");
  EXPECT_EQ(refused(R"("custom_params":1)"), "invalid_value custom_params");
  EXPECT_EQ(refused(R"("enable_thinking":1)"), "invalid_value enable_thinking");
}

TEST(ThinkingRequestFields, ContextComesBeforeTheQuestion) {
  EXPECT_EQ(thinking_prompt(parsed(R"(,"context":"b")")), "b\n\na");
  EXPECT_EQ(thinking_prompt(parsed(R"(,"context":"")")), "a");
}

TEST(PlanOutput, ThoughtAndAnswerFitOrAreRefused) {
  ThinkingRequest request{.budget = 100, .answer = ThinkingRequest::AnswerLimit{50, true}};
  const auto plan = plan_output(request, 24, 1000, 1000);
  ASSERT_TRUE(plan);
  EXPECT_GE(plan->max_tokens, 100 + 24 + 50);
  EXPECT_EQ(plan->max_answer_tokens, 50);
  EXPECT_EQ(plan->answer_reserve, 50);
  EXPECT_FALSE(plan_output(request, 24, 73, 1000));
  EXPECT_EQ(plan_output(request, 24, 74, 1000)->answer_reserve, 50);
  EXPECT_EQ(plan_output(request, 24, 1000, 40)->max_tokens, 40);  // a cap cuts, it does not refuse
  request.answer->asked_for = false;
  EXPECT_LE(plan_output(request, 24, 60, 1000)->max_answer_tokens, 30);
  EXPECT_FALSE(plan_output(request, 24, 24, 1000));
  EXPECT_FALSE(plan_output(request, 24, 0, 10));
  const int most = std::numeric_limits<int>::max();
  const ThinkingRequest huge{.budget = most, .answer = ThinkingRequest::AnswerLimit{most, false}};
  EXPECT_EQ(plan_output(huge, 24, 5000, 5000)->max_tokens, 5000);
  EXPECT_EQ(plan_output({.budget = -1, .answer = ThinkingRequest::AnswerLimit{10, true}}, 24, 5000, 5000)->max_tokens,
            5000);
}

class ThinkingRoute : public testing::Test {
 protected:
  ThinkingRoute() : server_(config(), scripted_.service) { server_.start(); }
  static ServiceConfig config() {
    ServiceConfig config;
    config.host = "127.0.0.1";
    config.port = 0;
    return config;
  }
  HttpAnswer route(const std::string& path, const std::string& body) { return ask(server_.port(), post(path, body)); }
  json think(const std::string& fields) {
    const HttpAnswer answer = route("/thinking", "{\"question\":\"hi\"" + fields + "}");
    EXPECT_EQ(answer.status, 200) << answer.body;
    return answer.json();
  }
  int tokens(const std::string& text) const { return static_cast<int>(scripted_.tokenizer().encode(text).size()); }
  int closing() const { return tokens(str("\n\n", kEarlyStopSentence, "\n")); }

  ScriptedService scripted_;
  HttpServer server_;
};

TEST_F(ThinkingRoute, HasTheGuidesFields) {
  const json answer = think(R"(,"context":"about numbers","thinking_depth":3,"include_reasoning":true)");
  EXPECT_EQ(answer.at("question"), "hi");
  EXPECT_EQ(answer.at("thinking_process"), "Let me think.");
  EXPECT_EQ(answer.at("final_answer"), "The answer is 42。");
  EXPECT_EQ(answer.at("reasoning_steps"), json::array({"Let me think."}));
  EXPECT_TRUE(answer.at("confidence_score").is_number_float());
  EXPECT_GT(answer.at("confidence_score"), 0.5);
  EXPECT_LE(answer.at("confidence_score"), 1.0);
  EXPECT_TRUE(answer.at("processing_time").is_number_float());
  EXPECT_EQ(answer.at("thinking"),
            (json{{"tokens", tokens("Let me think.\n")}, {"budget", 3 * 256}, {"ended_by", "natural"}}));
  EXPECT_EQ(answer.at("confidence_method"), "mean_token_probability");
  EXPECT_EQ(answer.at("finish_reason"), "stop");
  EXPECT_EQ(answer.at("model_info").at("model_type"), "test-model");
  EXPECT_EQ(answer.at("usage").size(), 3u);
  const std::string seen = scripted_.tokenizer().decode(scripted_.seen(), false);
  EXPECT_NE(seen.find("<|im_start|>user\nabout numbers\n\nhi<|im_end|>"), std::string::npos);
}

TEST_F(ThinkingRoute, ABudgetClosesTheThought) {
  scripted_.say("quick<|im_end|>", "one two three four five six seven eight nine ten eleven twelve");
  // Past its script, the model says <|im_end|>; here in the answer, at its first word.
  const json answer = think(R"(,"thinking_budget":4)");
  EXPECT_EQ(answer.at("thinking").at("tokens"), 4 + closing());
  EXPECT_EQ(answer.at("thinking").at("budget"), 4);
  EXPECT_EQ(answer.at("thinking").at("ended_by"), "budget");
  EXPECT_TRUE(answer.at("thinking_process").get<std::string>().ends_with(kEarlyStopSentence));
  EXPECT_NE(answer.at("final_answer"), "");
  const json steps = answer.at("reasoning_steps");
  for (const auto& step : steps) EXPECT_EQ(step.get<std::string>().find("Considering"), std::string::npos);
}

TEST_F(ThinkingRoute, NoBudgetIsNoThought) {
  const json answer = think(R"(,"thinking_budget":0)");
  EXPECT_EQ(answer.at("thinking"), (json{{"tokens", 0}, {"budget", 0}, {"ended_by", "budget"}}));
  EXPECT_EQ(answer.at("thinking_process"), "");
  EXPECT_EQ(answer.at("final_answer"), "The answer is 42。");
}

TEST_F(ThinkingRoute, ReasoningCanBeLeftOut) {
  const json answer = think(R"(,"include_reasoning":false)");
  EXPECT_EQ(answer.at("thinking_process"), "");
  EXPECT_EQ(answer.at("reasoning_steps"), json::array());
  EXPECT_GT(answer.at("thinking").at("tokens"), 0);
  const HttpAnswer stream = route("/thinking", R"({"question":"hi","include_reasoning":false,"stream":true})");
  EXPECT_EQ(stream.body.find("reasoning\""), std::string::npos);
}

TEST_F(ThinkingRoute, MaxLengthIsTheAnswersOwn) {
  const json answer = think(R"(,"max_length":2)");
  EXPECT_EQ(answer.at("thinking_process"), "Let me think.");
  EXPECT_EQ(answer.at("finish_reason"), "length");
  const std::vector<TokenId> ids = scripted_.tokenizer().encode("The answer is 42。");
  EXPECT_EQ(answer.at("final_answer"), scripted_.tokenizer().decode(std::span(ids).first(2), true));
  const HttpAnswer refused = route("/thinking", R"({"question":"hi","max_new_tokens":100000})");
  expect_error(refused, 400, "context_length_exceeded");
  const json error = refused.json().at("error");
  EXPECT_EQ(error.at("param"), "max_new_tokens");
  const int all_closing = closing() + tokens("</think>\n\n");
  const int most = error.at("n_ctx").get<int>() - error.at("n_prompt_tokens").get<int>() - all_closing;
  EXPECT_EQ(
      error.at("message").get<std::string>().find(str("max_new_tokens must be at most ", most, " with this prompt")),
      0u)
      << error;
  EXPECT_EQ(route("/thinking", str(R"({"question":"hi","max_length":)", most, "}")).status, 200);
  EXPECT_EQ(route("/thinking", str(R"({"question":"hi","max_length":)", most + 1, "}")).status, 400);
}

TEST_F(ThinkingRoute, ALoopIsClosed) {
  std::string loop;
  for (int i = 0; i < 400; ++i) loop += "again and again. ";
  scripted_.say("", loop);
  const json answer = think("");
  EXPECT_EQ(answer.at("thinking").at("ended_by"), "loop");
  EXPECT_LT(answer.at("thinking").at("tokens"), 256 + 64 + closing());
}

TEST_F(ThinkingRoute, TimeClosesTheThought) {
  std::string words;
  for (int i = 0; i < 3000; ++i) words += std::to_string(i * 7919 % 100) + " ";
  scripted_.say("", words);
  scripted_.control().set_delay(std::chrono::milliseconds(2));
  const json by_time = think(R"(,"thinking_time_ms":60,"thinking_depth":10,"max_length":5)");
  EXPECT_EQ(by_time.at("thinking").at("ended_by"), "deadline");
  EXPECT_LT(by_time.at("thinking").at("tokens"), 60 / 2 + 2 + closing());
  const json by_deadline = think(R"(,"deadline_ms":1500,"thinking_depth":10,"max_length":5)");
  EXPECT_EQ(by_deadline.at("thinking").at("ended_by"), "deadline");
  EXPECT_NE(by_deadline.at("final_answer"), "");
  // Without the deadline its 2560 tokens take 5 s or more.
  EXPECT_LT(by_deadline.at("processing_time"), 4);
}

TEST_F(ThinkingRoute, StreamsThoughtThenAnswerThenTheWhole) {
  const HttpAnswer answer = route("/thinking", R"({"question":"hi","stream":true})");
  EXPECT_EQ(answer.header("Content-Type"), "text/event-stream");
  const std::vector<std::string> events = sse_events(answer.body);
  ASSERT_GE(events.size(), 4u);
  EXPECT_EQ(events.back(), "[DONE]");
  std::string text, reasoning;
  for (size_t i = 0; i + 2 < events.size(); ++i) {
    const json event = json::parse(events[i]);
    EXPECT_EQ(event.size(), 1u);
    EXPECT_TRUE(text.empty() || !event.contains("reasoning"));
    text += event.value("text", "");
    reasoning += event.value("reasoning", "");
  }
  const json last = json::parse(events[events.size() - 2]);
  EXPECT_EQ(last.at("thinking_process"), reasoning);
  EXPECT_EQ(last.at("final_answer"), text);
  EXPECT_EQ(reasoning, "Let me think.");
}

TEST_F(ThinkingRoute, BudgetsOnTheOtherRoutes) {
  scripted_.say("quick<|im_end|>", "one two three four five six seven eight nine ten eleven twelve");
  const json chat =
      route("/v1/chat/completions", R"({"messages":[{"role":"user","content":"hi"}],"thinking_token_budget":3})")
          .json();
  EXPECT_EQ(chat.at("usage").at("completion_tokens_details").at("reasoning_tokens"), 3 + closing());
  EXPECT_TRUE(chat.at("choices").at(0).at("message").at("content").is_string());
  const json none =
      route("/v1/chat/completions", R"({"messages":[{"role":"user","content":"hi"}],"reasoning_effort":"none"})")
          .json();
  EXPECT_EQ(none.at("choices").at(0).at("message").at("content"), "quick");
  const json generated = route("/generate", R"({"prompt":"hi","thinking":true,"reasoning_budget":3})").json();
  EXPECT_TRUE(generated.at("reasoning").get<std::string>().ends_with(kEarlyStopSentence));
  EXPECT_NE(generated.at("generated_text"), "");
  EXPECT_EQ(route("/generate", R"({"prompt":"hi","thinking":true,"thinking_budget":0})").json().at("generated_text"),
            "quick");
}

// Far away it changes no token, and "no limit" is no limit at all.
TEST_F(ThinkingRoute, ADeadlineAloneChangesNoToken) {
  scripted_.say("<|im_end|>", "one two three four five six seven eight nine ten eleven twelve thirteen fourteen");
  const std::string hi = R"({"messages":[{"role":"user","content":"hi"}])", raw = R"({"prompt":"hi<|endoftext|>")";
  const auto choice = [&](const std::string& path, const std::string& body) {
    const json answer = route(path, body + "}").json();
    return std::pair(answer.at("choices"), answer.at("usage").at("completion_tokens"));
  };
  for (const char* limit : {R"(,"deadline_ms":3600000)", R"(,"thinking_budget":-1)", R"(,"reasoning_effort":"max")",
                            R"(,"reasoning_effort":"max","deadline_ms":300000)"}) {
    for (const char* length : {R"(,"max_tokens":12)", R"(,"max_tokens":60)"})
      EXPECT_EQ(choice("/v1/chat/completions", hi + length + limit), choice("/v1/chat/completions", hi + length))
          << length << limit;
    EXPECT_EQ(choice("/v1/completions", raw + limit), choice("/v1/completions", raw)) << limit;
  }
  EXPECT_EQ(choice("/v1/completions", raw).second, 1);
  // What the model says to its end, though the thought is still open: the server's own time limit changes nothing
  // either.
  const auto [whole, tokens] = choice("/v1/chat/completions", hi + R"(,"max_tokens":60)");
  EXPECT_TRUE(whole.at(0).at("message").at("content").is_null()) << whole;
  EXPECT_EQ(whole.at(0).at("finish_reason"), "stop");
  EXPECT_EQ(choice("/v1/chat/completions", hi + R"(,"max_tokens":12)").second, 12);
  const auto ensured = choice("/v1/chat/completions", hi + R"(,"max_tokens":12,"thinking_budget":1000)");
  EXPECT_TRUE(ensured.first.at(0).at("message").at("content").is_string());
}

TEST_F(ThinkingRoute, ADeadlineAloneClosesTheThoughtInTime) {
  std::string words;
  for (int i = 0; i < 3000; ++i) words += std::to_string(i * 7919 % 100) + " ";
  scripted_.say("", words);
  scripted_.control().set_delay(std::chrono::milliseconds(2));
  const json answer =
      route("/v1/chat/completions", R"({"messages":[{"role":"user","content":"hi"}],"deadline_ms":600})").json();
  EXPECT_TRUE(answer.at("choices").at(0).at("message").at("content").is_string()) << answer;
}

// The server's own time limit is the default deadline_ms.
TEST(ThinkingTimeout, ClosesEveryThoughtInTime) {
  ScriptedService scripted;
  std::string words;
  for (int i = 0; i < 6000; ++i) words += std::to_string(i * 7919 % 100) + " ";
  scripted.say("", words);
  scripted.control().set_delay(std::chrono::milliseconds(2));
  ServiceConfig config;
  config.host = "127.0.0.1";
  config.port = 0;
  config.request_timeout = std::chrono::seconds(1);
  HttpServer server(config, scripted.service);
  server.start();
  for (const auto& [path, body, place] :
       {std::tuple("/v1/chat/completions", R"({"messages":[{"role":"user","content":"hi"}],"max_tokens":4000})",
                   "/choices/0/message/content"),
        std::tuple("/generate", R"({"prompt":"hi","thinking":true,"max_length":4000})", "/generated_text"),
        std::tuple("/generate", R"({"prompt":"<|im_start|>assistant\n<think>\n","raw":true,"max_length":4000})",
                   "/generated_text"),
        std::tuple("/v1/completions", R"({"prompt":"<|im_start|>assistant\n<think>\n","max_tokens":4000})",
                   "/choices/0/text")}) {
    const json answer = ask(server.port(), post(path, body)).json();
    const json& text = answer.at(json::json_pointer(place));
    ASSERT_TRUE(text.is_string()) << answer;
    EXPECT_NE(text, "") << answer;
    if (std::string_view(place).ends_with("/text")) {
      EXPECT_TRUE(text.get<std::string>().find("</think>") != std::string::npos) << answer;
    }
  }
}

TEST_F(ThinkingRoute, ADeadlineHoldsOnEveryRoute) {
  scripted_.echo(100'000);
  scripted_.control().set_delay(std::chrono::milliseconds(5));
  const auto start = std::chrono::steady_clock::now();
  for (const auto& [path, body] :
       {std::pair("/generate", R"({"prompt":"hi","max_length":3000,"deadline_ms":80})"),
        std::pair("/v1/chat/completions", R"({"messages":[{"role":"user","content":"hi"}],"deadline_ms":80})")})
    EXPECT_EQ(route(path, body).status, 200) << path;
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(160) + kASecond);
}

}  // namespace
}  // namespace qwen::test
