// POST /batch_generate: each prompt as alone, together in the batch, all admitted or none.
#include "server/api/errors.h"
#include "server/api/native_types.h"
#include "server/api/request_json.h"
#include "server_fixture.h"

namespace qwen::test {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

std::string verdict(const std::string& body) {
  try {
    parse_batch_generate_request(parse_request(body), 3);
    return "";
  } catch (...) {
    const ApiError error = to_api_error(std::current_exception(), "id");
    return error.code + " " + error.param;
  }
}

TEST(BatchGenerateRequest, Prompts) {
  EXPECT_EQ(verdict(R"({"prompts":["a"]})"), "");
  EXPECT_EQ(verdict(R"({"prompts":["a","a","c"]})"), "");
  EXPECT_EQ(verdict("{}"), "invalid_value prompts");
  for (const char* bad : {"[]", "\"a\"", "null", "1", "{}", "[\"a\",\"b\",\"c\",\"d\"]"})
    EXPECT_EQ(verdict(str("{\"prompts\":", bad, "}")), "invalid_value prompts") << bad;
  for (const char* bad : {"1", "\"\"", "null", "[\"a\"]"})
    EXPECT_EQ(verdict(str("{\"prompts\":[\"a\",", bad, "]}")), "invalid_value prompts[1]") << bad;
}

TEST(BatchGenerateRequest, FieldsAreThoseOfGenerate) {
  const auto with = [](const std::string& fields) { return verdict(R"({"prompts":["a"],)" + fields + "}"); };
  EXPECT_EQ(with(R"("max_length":5,"temperature":0,"top_p":1,"top_k":3,"min_p":0,"do_sample":false,"seed":1,"stop":"x",
                    "stream":true,"system":"s","thinking":true,"repetition_penalty":1,"presence_penalty":0,
                    "frequency_penalty":0)"),
            "");
  EXPECT_EQ(with(R"("prompt":"a")"), "unknown_parameter prompt");
  EXPECT_EQ(with(R"("temprature":1)"), "unknown_parameter temprature");
  EXPECT_EQ(with(R"("temperature":null)"), "");
  EXPECT_EQ(with(R"("max_length":0)"), "invalid_value max_length");
  EXPECT_EQ(with(R"("raw":true,"system":"s")"), "invalid_value system");
}

class BatchGenerate : public Server {
 protected:
  HttpAnswer batch(const json& prompts, json fields = json::object()) {
    fields["prompts"] = prompts;
    return ask(port(), post("/batch_generate", fields.dump()));
  }
  static std::string too_long() {
    std::string words;
    for (int i = 0; i < 5000; ++i) words += "word ";
    return words;
  }
};

TEST_F(BatchGenerate, ResultsInOrderEachAsAlone) {
  start();
  scripted_->echo(40);
  const json prompts = {"first words", "a second, longer prompt", "3", "first words"};
  const HttpAnswer answer = batch(prompts, {{"max_length", 100}});
  ASSERT_EQ(answer.status, 200) << answer.body;
  const json body = answer.json();
  EXPECT_EQ(body.size(), 4u);
  EXPECT_TRUE(body.at("total_time").is_number_float());
  EXPECT_EQ(body.at("model_info"), (json{{"model_type", "test-model"}, {"quantization", "none"}}));
  ASSERT_EQ(body.at("results").size(), prompts.size());
  int tokens = 0;
  for (size_t i = 0; i < prompts.size(); ++i) {
    json result = body.at("results").at(i);
    EXPECT_EQ(result.at("generated_text"), scripted_->echoed(prompts[i], 40));
    tokens += result.at("token_count").get<int>();
    EXPECT_EQ(result.at("index"), i);
    result.erase("index");
    json alone = ask(port(), post("/generate", json{{"prompt", prompts[i]}, {"max_length", 100}}.dump())).json();
    EXPECT_TRUE(alone.at("generation_time").is_number_float());
    alone["generation_time"] = result["generation_time"];
    EXPECT_EQ(result, alone);
  }
  EXPECT_EQ(body.at("total_tokens"), tokens);
}

TEST_F(BatchGenerate, OnePromptTooLongDoesNotSpoilTheOthers) {
  start();
  const json results = batch({"hi", too_long(), "ho"}).json().at("results");
  EXPECT_EQ(results[0].at("generated_text"), "The answer is 42。");
  EXPECT_EQ(results[2].at("generated_text"), "The answer is 42。");
  EXPECT_EQ(results[1].size(), 2u);
  EXPECT_EQ(results[1].at("index"), 1);
  EXPECT_EQ(results[1].at("error").at("code"), "context_length_exceeded");
  EXPECT_EQ(results[1].at("error").at("type"), "invalid_request_error");
  EXPECT_GT(results[1].at("error").at("n_prompt_tokens"), 5000);
  const HttpAnswer none = batch({too_long()});
  EXPECT_EQ(none.status, 200);
  EXPECT_EQ(none.json().at("results").at(0).at("error").at("code"), "context_length_exceeded");
  EXPECT_EQ(none.json().at("total_tokens"), 0);
}

TEST_F(BatchGenerate, RunsTogether) {
  start();
  scripted_->echo(100'000);
  scripted_->control().set_delay(milliseconds(2));
  RawClient client(port());
  client.send(post("/batch_generate", R"({"prompts":["a","b","c","d","e"],"max_length":2000})"));
  EXPECT_TRUE(eventually([&] { return scripted_->service.stats().running == 5; }));
  client.close();
  EXPECT_TRUE(becomes_idle());
}

TEST_F(BatchGenerate, AllAreAdmittedOrNone) {
  start({.max_num_seqs = 1, .max_waiting = 2});
  scripted_->echo(100'000);
  scripted_->control().set_delay(milliseconds(2));
  const HttpAnswer refused = batch({"a", "b", "c", "d"}, {{"max_length", 3000}});
  expect_error(refused, 503, "server_overloaded");
  EXPECT_EQ(refused.header("Retry-After"), "1");
  EXPECT_TRUE(becomes_idle());
  EXPECT_EQ(batch({"a", "b", "c"}, {{"max_length", 3}}).json().at("total_tokens"), 9);
}

TEST_F(BatchGenerate, StreamedEventsSayWhichPrompt) {
  start();
  scripted_->echo(30);
  const std::vector<std::string> prompts = {"first words", too_long(), "second"};
  const HttpAnswer answer = batch(prompts, {{"stream", true}});
  EXPECT_EQ(answer.header("Content-Type"), "text/event-stream");
  const std::vector<std::string> events = sse_events(answer.body);
  ASSERT_GE(events.size(), 5u);
  EXPECT_EQ(events.back(), "[DONE]");
  std::vector<std::string> texts(3), ends(3);
  for (size_t i = 0; i + 2 < events.size(); ++i) {
    const json event = json::parse(events[i]);
    const size_t index = event.at("index");
    EXPECT_EQ(ends.at(index), "") << "text after the end";
    texts[index] += event.value("text", "");
    if (event.contains("error")) ends[index] = event.at("error").at("code");
    if (event.contains("finish_reason")) ends[index] = event.at("finish_reason");
  }
  EXPECT_EQ(ends, (std::vector<std::string>{"stop", "context_length_exceeded", "stop"}));
  const json results = json::parse(events[events.size() - 2]).at("results");
  for (const size_t i : {size_t{0}, size_t{2}}) {
    EXPECT_EQ(texts[i], scripted_->echoed(prompts[i], 30));
    EXPECT_EQ(results[i].at("generated_text"), texts[i]);
  }
  EXPECT_EQ(results[1].at("error").at("code"), "context_length_exceeded");
}

TEST_F(BatchGenerate, ATimeLimitIsToldOfEachPrompt) {
  start();
  scripted_->echo(100'000);
  scripted_->control().set_delay(milliseconds(5));
  const HttpAnswer answer = batch({"a", "b"}, {{"stream", true}, {"max_length", 3000}, {"deadline_ms", 300}});
  const std::vector<std::string> events = sse_events(answer.body);
  ASSERT_GE(events.size(), 4u) << answer.body;
  int told = 0;
  for (size_t i = 0; i + 2 < events.size(); ++i) told += json::parse(events[i]).value("timed_out", false);
  EXPECT_EQ(told, 2);
  const json whole = json::parse(events[events.size() - 2]);
  for (const json& result : whole.at("results")) EXPECT_EQ(result.at("timed_out"), true);
}

TEST_F(BatchGenerate, AFailureInTheEngineIsOneResults) {
  start({.max_num_seqs = 1});  // one after the other, so that a failed step concerns one of them
  scripted_->echo(20);
  for (const bool stream : {false, true}) {
    scripted_->control().fail_steps(scripted_->control().steps() + 30, 1);
    const HttpAnswer answer = batch({"a", "b", "c"}, {{"stream", stream}});
    const std::vector<std::string> events = sse_events(answer.body);
    const json body = stream ? json::parse(events[events.size() - 2]) : answer.json();
    EXPECT_EQ(body.at("results").at(0).at("generated_text"), scripted_->echoed("a", 20));
    EXPECT_EQ(body.at("results").at(1).at("error").at("code"), "internal_error");
    EXPECT_EQ(body.at("results").at(2).at("generated_text"), scripted_->echoed("c", 20));
  }
  EXPECT_TRUE(becomes_idle());
}

TEST_F(BatchGenerate, AShutdownFailsAllOfIt) {
  start();
  scripted_->echo(100'000);
  scripted_->control().set_delay(milliseconds(2));
  RawClient client(port());
  client.send(post("/batch_generate", R"({"prompts":["a","b"],"max_length":3000})"));
  ASSERT_TRUE(eventually([&] { return scripted_->service.stats().running == 2; }));
  server_->stop(milliseconds(50));
  expect_error(client.read_answer(), 503, "draining");
}

}  // namespace
}  // namespace qwen::test
