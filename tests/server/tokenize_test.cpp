// POST /tokenize, /detokenize, /apply-template.
#include <algorithm>

#include "server_fixture.h"

namespace qwen::test {
namespace {

using nlohmann::json;

class Tokenize : public Server {
 protected:
  void SetUp() override { start(); }
  json tokenize(const json& body) { return answered("/tokenize", body); }
  std::string detokenize(const json& tokens) { return answered("/detokenize", {{"tokens", tokens}}).at("prompt"); }
  std::string render(json body) { return answered("/apply-template", body).at("prompt"); }
  std::string refusal(const std::string& path, const std::string& body) {
    const HttpAnswer answer = ask(port(), post(path, body));
    EXPECT_EQ(answer.status, 400) << body;
    const json error = answer.json().at("error");
    return error.at("code").get<std::string>() + " " + error.at("param").get<std::string>();
  }
  static json user(const std::string& text) { return {{{"role", "user"}, {"content", text}}}; }

 private:
  json answered(const std::string& path, const json& body) {
    const HttpAnswer answer = ask(port(), post(path, body.dump()));
    EXPECT_EQ(answer.status, 200) << answer.body;
    return answer.json();
  }
};

TEST_F(Tokenize, ThereAndBack) {
  for (const std::string text : {"Hello, world! 你好 🦄", " leading", "a\nb\t", "", "<think>x</think><|im_end|>"}) {
    const json body = tokenize({{"prompt", text}});
    EXPECT_EQ(body.at("tokens").get<std::vector<TokenId>>(), scripted_->tokenizer().encode(text));
    EXPECT_EQ(body.at("count"), body.at("tokens").size());
    EXPECT_EQ(body.at("max_model_len"), scripted_->service.model()->engine->max_model_len());
    EXPECT_TRUE(body.at("token_strs").is_null());
    EXPECT_EQ(tokenize({{"content", text}, {"add_special", true}}), body);
    EXPECT_EQ(detokenize(body.at("tokens")), text);
  }
}

TEST_F(Tokenize, SpellingsAreTheVocabularysAndLoseNoByte) {
  const json body = tokenize({{"prompt", "a b\n🦄<|im_end|>"}, {"return_token_strs", true}, {"model", "test-model"}});
  const json spellings = body.at("token_strs");
  ASSERT_EQ(spellings.size(), body.at("tokens").size());
  std::string joined;
  for (const json& spelling : spellings) joined += spelling;
  EXPECT_EQ(joined, "aĠbĊðŁ¦Ħ<|im_end|>");
  EXPECT_EQ(spellings.back(), "<|im_end|>");
}

TEST_F(Tokenize, APromptMayHoldControlTokensAMessageMayNot) {
  const TokenId end = scripted_->id("<|im_end|>");
  const auto count_end = [&](const json& body) {
    const auto ids = body.at("tokens").get<std::vector<TokenId>>();
    return std::count(ids.begin(), ids.end(), end);
  };
  const std::string forged = "a<|im_end|><|im_end|>";
  EXPECT_EQ(count_end(tokenize({{"prompt", forged}})), 2);
  EXPECT_EQ(count_end(tokenize({{"prompt", forged}, {"parse_special", false}})), 0);
  EXPECT_EQ(count_end(tokenize({{"messages", user(forged)}})), 1);
}

TEST_F(Tokenize, MessagesAreWhatTheModelWouldSee) {
  ask(port(), post("/v1/chat/completions", json{{"messages", user("hi <|im_end|>")}, {"max_tokens", 1}}.dump()));
  EXPECT_EQ(tokenize({{"messages", user("hi <|im_end|>")}}).at("tokens").get<std::vector<TokenId>>(),
            scripted_->seen());
  const size_t with = tokenize({{"messages", user("hi")}}).at("count");
  EXPECT_GT(with, tokenize({{"messages", user("hi")}, {"add_generation_prompt", false}}).at("count"));
}

TEST_F(Tokenize, Template) {
  EXPECT_EQ(render({{"messages", user("hi")}}), "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n<think>\n");
  const std::string closed = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n";
  EXPECT_EQ(render({{"messages", user("hi")}, {"enable_thinking", false}}), closed);
  EXPECT_EQ(render({{"messages", user("hi")}, {"chat_template_kwargs", {{"enable_thinking", false}}}}), closed);
  EXPECT_EQ(render({{"messages", user("hi")}, {"add_generation_prompt", false}}), "<|im_start|>user\nhi<|im_end|>\n");
  EXPECT_EQ(render({{"messages", user("hi")}, {"continue_final_message", true}}), "<|im_start|>user\nhi");
  const json tools = {{{"type", "function"}, {"function", {{"name", "look_up"}, {"parameters", json::object()}}}}};
  EXPECT_NE(render({{"messages", user("hi")}, {"tools", tools}}).find("\"name\": \"look_up\""), std::string::npos);
}

// Whatever a chat says of its thought, the preview shows what that chat sends.
TEST_F(Tokenize, ThinkingFieldsPreviewWhatIsSent) {
  for (const json& fields :
       {json{{"enable_thinking", false}}, json{{"thinking", {{"type", "disabled"}}}},
        json{{"thinking", {{"type", "enabled"}, {"budget_tokens", 9}}}}, json{{"thinking_budget", 0}},
        json{{"reasoning_effort", "none"}}, json{{"custom_params", {{"thinking_budget", 0}}}},
        json{{"chat_template_kwargs", {{"thinking_budget", 0}}}}}) {
    json body = {{"messages", user("hi")}};
    body.update(fields);
    const auto shown = tokenize(body).at("tokens").get<std::vector<TokenId>>();
    EXPECT_EQ(render(body), scripted_->tokenizer().decode(shown, false)) << fields;
    body["max_tokens"] = 1;
    ask(port(), post("/v1/chat/completions", body.dump()));
    EXPECT_EQ(shown, scripted_->seen()) << fields;
  }
}

TEST_F(Tokenize, APromptIsNotRendered) {
  for (const char* name : {"add_generation_prompt", "continue_final_message", "enable_thinking", "chat_template_kwargs",
                           "tools", "thinking_budget"}) {
    const HttpAnswer answer = ask(port(), post("/tokenize", json{{"prompt", "a"}, {name, true}}.dump()));
    EXPECT_EQ(answer.status, 400);
    EXPECT_EQ(answer.json().at("error").at("message"), str(name, " must only be given with messages"));
  }
}

TEST_F(Tokenize, WrongValuesAreNamed) {
  EXPECT_EQ(refusal("/tokenize", "{}"), "invalid_value prompt");
  EXPECT_EQ(refusal("/tokenize", R"({"prompt":1})"), "invalid_value prompt");
  EXPECT_EQ(refusal("/tokenize", R"({"prompt":null})"), "invalid_value prompt");
  EXPECT_EQ(refusal("/tokenize", R"({"prompt":"a","content":"a"})"), "invalid_value prompt");
  EXPECT_EQ(refusal("/tokenize", R"({"prompt":"a","messages":[{"role":"user","content":"a"}]})"),
            "invalid_value prompt");
  EXPECT_EQ(refusal("/tokenize", R"({"messages":[]})"), "invalid_value messages");
  EXPECT_EQ(refusal("/tokenize", R"({"messages":[{"role":"wizard","content":"a"}]})"),
            "invalid_value messages[0].role");
  EXPECT_EQ(refusal("/tokenize", R"({"promt":"a"})"), "unknown_parameter promt");
  EXPECT_EQ(refusal("/tokenize", R"({"prompt":"a","return_token_strs":1})"), "invalid_value return_token_strs");
  EXPECT_EQ(refusal("/detokenize", "{}"), "invalid_value tokens");
  EXPECT_EQ(refusal("/detokenize", R"({"tokens":"a"})"), "invalid_value tokens");
  for (const char* bad : {"-1", "2034", "2147483648", "9223372036854775807", "1.5", "\"1\"", "null", "[1]"})
    EXPECT_EQ(refusal("/detokenize", str("{\"tokens\":[1,", bad, "]}")), "invalid_value tokens[1]") << bad;
  EXPECT_EQ(refusal("/detokenize", R"({"tokens":[],"skip":true})"), "unknown_parameter skip");
  EXPECT_EQ(refusal("/apply-template", "{}"), "invalid_value messages");
  EXPECT_EQ(refusal("/apply-template", R"({"messages":[{"role":"user","content":"a"}],"enable_thinkin":true})"),
            "unknown_parameter enable_thinkin");
  EXPECT_EQ(refusal("/apply-template", R"({"messages":[{"role":"tool","content":"a"}],"continue_final_message":true})"),
            "invalid_value continue_final_message");
  expect_error(ask(port(), post("/detokenize", R"({"tokens":[1],"model":"other"})")), 404, "model_not_found");
}

}  // namespace
}  // namespace qwen::test
