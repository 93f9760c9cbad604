// POST /v1/completions, and several choices on both OpenAI routes.
#include <set>

#include "server/api/completion_types.h"
#include "server/api/errors.h"
#include "server/api/request_json.h"
#include "server_fixture.h"

namespace qwen::test {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

std::string verdict(const std::string& members) {
  try {
    parse_completion_request(parse_request("{" + members + "}"), 3);
    return "";
  } catch (...) {
    const ApiError error = to_api_error(std::current_exception(), "id");
    EXPECT_EQ(error.status, 400) << members;
    return error.code + " " + error.param;
  }
}
std::string with(const std::string& members) { return verdict(R"("prompt":"a",)" + members); }

TEST(CompletionRequest, PromptsOfFourShapes) {
  const auto prompts = [](const std::string& text) {
    return parse_completion_request(parse_request("{\"prompt\":" + text + "}"), 3).prompts;
  };
  EXPECT_EQ(prompts("\"a\"").at(0).text, "a");
  EXPECT_EQ(prompts("[\"a\",\"b\"]").at(1).text, "b");
  EXPECT_EQ(prompts("[1,2]").size(), 1u);
  EXPECT_EQ(prompts("[1,2]").at(0).ids, (std::vector<TokenId>{1, 2}));
  EXPECT_EQ(prompts("[[1],[2,3]]").at(1).ids, (std::vector<TokenId>{2, 3}));
  EXPECT_EQ(verdict("\"max_tokens\":1"), "invalid_value prompt");
  for (const char* bad : {"null", "1", "true", "{}", "\"\"", "[]", R"(["a","b","c","d"])", "[[1],[1],[1],[1]]"})
    EXPECT_EQ(verdict(str("\"prompt\":", bad)), "invalid_value prompt") << bad;
  for (const char* bad : {R"(["a",1])", R"(["a",[1]])", R"(["a",""])", "[[1],[]]", R"([[1],"a"])", "[[1],2]",
                          "[1,\"a\"]", "[1,-1]", "[1,1.5]", "[1,2147483648]", "[1,[1]]"})
    EXPECT_EQ(verdict(str("\"prompt\":", bad)), "invalid_value prompt[1]") << bad;
  EXPECT_EQ(verdict("\"prompt\":[[1],[1,-2]]"), "invalid_value prompt[1][1]");
}

TEST(CompletionRequest, Fields) {
  EXPECT_EQ(with(R"("user":"me","logprobs":null,"suffix":null,"echo":null,"n":null,"best_of":1,"stop":null)"), "");
  EXPECT_EQ(with(R"("n":2,"best_of":2,"echo":true,"stream":true,"stream_options":{"include_usage":true})"), "");
  EXPECT_EQ(with("\"n\":9"), "invalid_value n");
  EXPECT_EQ(with("\"max_tokens\":0"), "invalid_value max_tokens");
  EXPECT_EQ(with("\"echo\":1"), "invalid_value echo");
  EXPECT_EQ(with(R"("stream_options":{"include_usage":true})"), "invalid_value stream_options");
  EXPECT_EQ(with(R"("logit_bias":{"x":1})"), "invalid_value logit_bias");
  EXPECT_EQ(with("\"logprobs\":0"), "unsupported_parameter logprobs");
  EXPECT_EQ(with("\"logprobs\":5"), "unsupported_parameter logprobs");
  EXPECT_EQ(with("\"suffix\":\"b\""), "unsupported_parameter suffix");
  EXPECT_EQ(with("\"best_of\":2"), "unsupported_parameter best_of");
  EXPECT_EQ(with(R"("response_format":{"type":"json_object"})"), "unsupported_parameter response_format");
}

TEST(SampleSeed, TheFirstIsTheSeedItselfAndTheOthersDiffer) {
  std::set<uint64_t> seeds;
  for (const uint64_t seed : {uint64_t{0}, uint64_t{1}, uint64_t{2}, ~uint64_t{0}}) {
    EXPECT_EQ(sample_seed(seed, 0), seed);
    for (int i = 0; i < 16; ++i) seeds.insert(sample_seed(seed, i));
  }
  EXPECT_EQ(seeds.size(), 64u);
}

class Completions : public Server {
 protected:
  HttpAnswer complete(const json& prompt, json fields = json::object()) {
    fields["prompt"] = prompt;
    return ask(port(), post("/v1/completions", fields.dump()));
  }
  static std::string text(const HttpAnswer& answer, size_t choice = 0) {
    return answer.json().at("choices").at(choice).at("text");
  }
  json ids(const std::string& text) const { return scripted_->tokenizer().encode(text); }
  // A prompt after which the scripted model speaks.
  static constexpr const char* kPrompt = "once<|endoftext|>";
};

TEST_F(Completions, TextWithTheThoughtAndItsTags) {
  start();
  const std::string said = "\n\n<think>\nLet me see.\n</think>\n\nYes。";
  scripted_->say(said + "<|im_end|>", "");
  const json body = complete(kPrompt, {{"max_tokens", 100}}).json();
  EXPECT_EQ(body.at("object"), "text_completion");
  EXPECT_EQ(body.at("id").get<std::string>().substr(0, 5), "cmpl-");
  EXPECT_EQ(body.at("model"), "test-model");
  EXPECT_TRUE(body.at("created").is_number_integer());
  ASSERT_EQ(body.at("choices").size(), 1u);
  EXPECT_EQ(
      body.at("choices").at(0),
      (json{{"index", 0}, {"text", said}, {"logprobs", nullptr}, {"finish_reason", "stop"}, {"stop_reason", nullptr}}));
  const json usage = body.at("usage");
  EXPECT_EQ(usage.at("completion_tokens_details").at("reasoning_tokens"), ids("\nLet me see.\n").size());
  EXPECT_EQ(usage.at("prompt_tokens"), ids(kPrompt).size());
  EXPECT_EQ(usage.at("completion_tokens"), ids(said).size() + 1);
  EXPECT_EQ(usage.at("total_tokens"), ids(kPrompt).size() + ids(said).size() + 1);
}

TEST_F(Completions, TokensAreThePromptAsMuchAsItsText) {
  start();
  EXPECT_EQ(text(complete(ids(kPrompt))), "The answer is 42。");
  EXPECT_EQ(scripted_->seen().front(), ids(kPrompt).at(0));
  expect_error(complete({1, 2, 2034}), 400, "invalid_value");
  EXPECT_EQ(complete({1, 2, 2034}).json().at("error").at("param"), "prompt[2]");
  EXPECT_EQ(complete({{1}, {2, 2034}}).json().at("error").at("param"), "prompt[1][1]");
}

TEST_F(Completions, AThoughtOpenedByThePromptKeepsToItsBudget) {
  start();
  scripted_->say("", std::string(300, 'a'));
  const std::string opened = "<|im_start|>assistant\n<think>\n";
  for (const json& prompt : {json(opened), ids(opened)}) {
    const HttpAnswer answer = complete(prompt, {{"max_tokens", 200}, {"thinking_budget", 5}});
    EXPECT_NE(text(answer).find("</think>"), std::string::npos) << answer.body;
  }
}

TEST_F(Completions, SixteenTokensWhereNothingIsSaid) {
  start();
  scripted_->say(std::string(500, 'a'), "");
  const json body = complete(kPrompt).json();
  EXPECT_EQ(body.at("usage").at("completion_tokens"), 16);
  EXPECT_EQ(body.at("choices").at(0).at("finish_reason"), "length");
}

TEST_F(Completions, EchoStopAndModel) {
  start();
  EXPECT_EQ(text(complete(kPrompt, {{"echo", true}})), std::string(kPrompt) + "The answer is 42。");
  EXPECT_EQ(text(complete(ids(kPrompt), {{"echo", true}})), std::string(kPrompt) + "The answer is 42。");
  const json stopped = complete(kPrompt, {{"stop", {"once", " is"}}}).json().at("choices").at(0);
  EXPECT_EQ(stopped.at("text"), "The answer");
  EXPECT_EQ(stopped.at("stop_reason"), " is");
  EXPECT_EQ(complete(kPrompt, {{"model", "test-model"}}).status, 200);
  expect_error(complete(kPrompt, {{"model", "other"}}), 404, "model_not_found");
  expect_error(complete(kPrompt, {{"max_tokens", 1'000'000}}), 400, "context_length_exceeded");
  expect_error(complete(kPrompt, {{"logit_bias", {{"999999", 1}}}}), 400, "invalid_value");
}

TEST_F(Completions, ChoicesOfSeveralPrompts) {
  start();
  const json body =
      complete({kPrompt, "a longer one<|endoftext|>"}, {{"n", 3}, {"echo", true}, {"max_tokens", 30}}).json();
  ASSERT_EQ(body.at("choices").size(), 6u);
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(body.at("choices").at(i).at("index"), i);
    EXPECT_EQ(body.at("choices").at(i).at("text"),
              std::string(i < 3 ? kPrompt : "a longer one<|endoftext|>") + "The answer is 42。");
  }
  EXPECT_EQ(body.at("usage").at("prompt_tokens"), ids(kPrompt).size() + ids("a longer one<|endoftext|>").size());
  EXPECT_EQ(body.at("usage").at("completion_tokens"), 6 * (ids("The answer is 42。").size() + 1));
}

TEST_F(Completions, Stream) {
  start();
  const std::vector<std::string> events =
      sse_events(complete({kPrompt, kPrompt},
                          {{"stream", true}, {"n", 2}, {"echo", true}, {"stream_options", {{"include_usage", true}}}})
                     .body);
  ASSERT_GE(events.size(), 8u);
  EXPECT_EQ(events.back(), "[DONE]");
  const json first = json::parse(events[0]);
  std::vector<std::string> texts(4), ends(4);
  for (size_t i = 0; i + 2 < events.size(); ++i) {
    const json event = json::parse(events[i]);
    EXPECT_EQ(event.at("object"), "text_completion");
    EXPECT_EQ(event.at("id"), first.at("id"));
    const json choice = event.at("choices").at(0);
    const size_t index = choice.at("index");
    EXPECT_EQ(ends.at(index), "");
    texts[index] += choice.at("text");
    if (!choice.at("finish_reason").is_null()) ends[index] = choice.at("finish_reason");
  }
  EXPECT_EQ(texts, std::vector<std::string>(4, std::string(kPrompt) + "The answer is 42。"));
  EXPECT_EQ(ends, std::vector<std::string>(4, "stop"));
  const json usage = json::parse(events[events.size() - 2]);
  EXPECT_TRUE(usage.at("choices").empty());
  EXPECT_EQ(usage.at("usage").at("prompt_tokens"), 2 * ids(kPrompt).size());
}

TEST_F(Completions, ALeavingClientAndAFullQueueLeaveNothingRunning) {
  start({.max_num_seqs = 2, .max_waiting = 3});
  scripted_->say(std::string(2000, 'a'), "");
  scripted_->control().set_delay(milliseconds(2));
  expect_error(complete({kPrompt, kPrompt}, {{"n", 3}, {"max_tokens", 1000}}), 503, "server_overloaded");
  EXPECT_TRUE(becomes_idle());
  RawClient client(port());
  client.send(post("/v1/completions", json{{"prompt", kPrompt}, {"n", 4}, {"max_tokens", 1000}}.dump()));
  ASSERT_TRUE(eventually([&] { return scripted_->service.stats().running == 2; }));
  client.close();
  EXPECT_TRUE(becomes_idle());
}

TEST_F(Server, ChatAnswersSeveralTimes) {
  start();
  const json body = chat(R"(,"n":3)").json();
  ASSERT_EQ(body.at("choices").size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(body.at("choices").at(i).at("index"), i);
    EXPECT_EQ(body.at("choices").at(i).at("message").at("content"), "The answer is 42。");
  }
  const json alone = chat("").json().at("usage");
  EXPECT_EQ(body.at("usage").at("prompt_tokens"), alone.at("prompt_tokens"));
  EXPECT_EQ(body.at("usage").at("completion_tokens"), 3 * alone.at("completion_tokens").get<int>());

  const std::vector<std::string> events = sse_events(chat(R"(,"n":3,"stream":true)").body);
  std::vector<std::string> contents(3), roles(3), ends(3);
  for (size_t i = 0; i + 1 < events.size(); ++i) {
    const json choice = json::parse(events[i]).at("choices").at(0);
    const size_t index = choice.at("index");
    contents.at(index) += choice.at("delta").value("content", "");
    roles[index] += choice.at("delta").value("role", "");
    if (!choice.at("finish_reason").is_null()) ends[index] += choice.at("finish_reason");
  }
  EXPECT_EQ(contents, std::vector<std::string>(3, "The answer is 42。"));
  EXPECT_EQ(roles, std::vector<std::string>(3, "assistant"));
  EXPECT_EQ(ends, std::vector<std::string>(3, "stop"));
}

}  // namespace
}  // namespace qwen::test
