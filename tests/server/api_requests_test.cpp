// Group P of the robustness list: parameters of both APIs, field by field.
#include <gtest/gtest.h>

#include <limits>

#include "server/api/chat_types.h"
#include "server/api/errors.h"
#include "server/api/native_types.h"
#include "server/api/request_json.h"
#include "server/api/thinking_types.h"
#include "server/api/tokenize_types.h"

namespace qwen {
namespace {

// What a body is answered: code and param, "" where it is accepted.
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
std::string native(const std::string& fields) {
  return verdict(parse_generate_request, "{\"prompt\":\"a\"," + fields + "}");
}
std::string chat(const std::string& fields) {
  return verdict(parse_chat_request, "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]," + fields + "}");
}
std::string messages(const std::string& list) { return verdict(parse_chat_request, "{\"messages\":" + list + "}"); }

TEST(GenerateRequest, WrongTypesNameTheField) {
  for (const char* field : {"max_length", "max_tokens", "max_new_tokens", "temperature", "top_p", "top_k", "min_p",
                            "repetition_penalty", "presence_penalty", "frequency_penalty", "seed"})
    for (const char* value : {"\"1\"", "true", "[]", "{}"})
      EXPECT_EQ(native(str("\"", field, "\":", value)), str("invalid_value ", field)) << value;
  for (const char* field : {"do_sample", "stream", "thinking", "raw"})
    for (const char* value : {"\"true\"", "1", "[]"})
      EXPECT_EQ(native(str("\"", field, "\":", value)), str("invalid_value ", field)) << value;
  EXPECT_EQ(native("\"system\":1"), "invalid_value system");
  EXPECT_EQ(verdict(parse_generate_request, "{\"prompt\":1}"), "invalid_value prompt");
  EXPECT_EQ(verdict(parse_generate_request, "{\"prompt\":null}"), "invalid_value prompt");
  EXPECT_EQ(verdict(parse_generate_request, "{\"prompt\":[\"a\"]}"), "invalid_value prompt");
}

TEST(GenerateRequest, NullIsNoValue) {
  for (const char* field : {"max_length", "max_tokens", "temperature", "top_p", "top_k", "seed", "stop", "stream",
                            "system", "thinking", "raw", "do_sample", "thinking_budget", "deadline_ms"})
    EXPECT_EQ(native(str("\"", field, "\":null")), "") << field;
  EXPECT_EQ(native("\"max_length\":null,\"max_new_tokens\":7"), "");
  EXPECT_EQ(native("\"stop\":[null]"), "invalid_value stop");
  EXPECT_EQ(native("\"no_field\":null"), "unknown_parameter no_field");
}

TEST(GenerateRequest, WholeNumbersMayBeWrittenAsFloats) {
  const GenerateRequest request =
      parse_generate_request(parse_request(R"({"prompt":"a","max_length":3.0,"seed":1e3,"top_k":-1.0})"));
  EXPECT_EQ(request.max_length->tokens, 3);
  EXPECT_EQ(request.sampling.seed, 1000u);
  EXPECT_EQ(request.sampling.top_k, -1);
  EXPECT_EQ(native("\"seed\":9007199254740992.0"), "");
  EXPECT_EQ(native("\"seed\":-9007199254740992.0"), "");
  for (const char* value : {"9007199254740994.0", "1e16", "-1e16", "1e300", "1.5", "-0.5"})
    EXPECT_EQ(native(str("\"seed\":", value)), "invalid_value seed") << value;
}

TEST(GenerateRequest, Ranges) {
  for (const char* value :
       {"-1", "0", "-9223372036854775808", "2147483648", "4294967296", "9223372036854775807", "1e10", "5.5", "1e30"})
    EXPECT_EQ(native(str("\"max_length\":", value)), "invalid_value max_length") << value;
  for (const char* row :
       {"temperature:-0.1", "temperature:2.1", "temperature:100", "top_p:0", "top_p:1.1", "top_p:-1", "top_k:-2",
        "top_k:1.5", "min_p:-0.1", "min_p:1.1", "repetition_penalty:0", "repetition_penalty:11", "presence_penalty:2.1",
        "presence_penalty:-2.1", "frequency_penalty:2.1", "seed:1.5"}) {
    const std::string text = row;
    const std::string field = text.substr(0, text.find(':')), value = text.substr(text.find(':') + 1);
    EXPECT_EQ(native("\"" + field + "\":" + value), "invalid_value " + field) << row;
  }
  for (const char* fine :
       {"\"max_length\":1", "\"max_length\":2147483647", "\"temperature\":0", "\"temperature\":-0.0",
        "\"temperature\":1e-400", "\"temperature\":2", "\"top_p\":1e-300", "\"top_p\":1", "\"top_k\":-1", "\"top_k\":0",
        "\"seed\":-1", "\"seed\":9223372036854775807", "\"presence_penalty\":-2"})
    EXPECT_EQ(native(fine), "") << fine;
}

TEST(GenerateRequest, StopStrings) {
  EXPECT_EQ(native("\"stop\":\"a\""), "");
  EXPECT_EQ(native("\"stop\":[]"), "");
  EXPECT_EQ(native("\"stop\":[\"a\",\"b\",\"c\",\"d\"]"), "");
  std::string many = "\"a\"";
  for (int i = 0; i < 10'000; ++i) many += ",\"a\"";
  for (const std::string& bad :
       {std::string("\"\""), std::string("[\"\"]"), std::string("[1]"), std::string("1"),
        std::string("[\"a\",\"b\",\"c\",\"d\",\"e\"]"), "[" + many + "]", "\"" + std::string(1 << 20, 'a') + "\""})
    EXPECT_EQ(native("\"stop\":" + bad), "invalid_value stop") << bad.substr(0, 40);
}

TEST(GenerateRequest, UnknownFieldsAreNamedWithTheNearestKnownOne) {
  try {
    parse_generate_request(parse_request("{\"prompt\":\"a\",\"temprature\":1}"));
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kUnknownField);
    EXPECT_EQ(e.param(), "temprature");
    EXPECT_NE(std::string(e.what()).find("nearest one is temperature"), std::string::npos);
  }
  EXPECT_EQ(native("\"n\":2"), "unknown_parameter n");
  EXPECT_EQ(native("\"\":2"), "unknown_parameter ");
  EXPECT_EQ(native("\"bad\\nname\":2"), "unknown_parameter ");
  EXPECT_EQ(native("\"" + std::string(100'000, 'x') + "\":2"), "unknown_parameter ");
}

// A name that nothing is near to gets no hint: a wrong one misleads.
TEST(GenerateRequest, OnlyWhatIsNearIsHintedAt) {
  const auto message = [](const auto& parse, const std::string& body) -> std::string {
    try {
      parse(parse_request(body));
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  for (const char* far : {"model", "n", "text", "foo", "messages"})
    EXPECT_EQ(message(parse_generate_request, str("{\"prompt\":\"a\",\"", far, "\":1}")),
              str("this route has no field ", far));
  for (const auto& [typed, meant] : {std::pair("max_len", "max_length"),
                                     {"Temperature", "temperature"},
                                     {"stops", "stop"},
                                     {"sytem", "system"},
                                     {"thinking_budgets", "thinking_budget"}})
    EXPECT_EQ(message(parse_generate_request, str("{\"prompt\":\"a\",\"", typed, "\":1}")),
              str("this route has no field ", typed, "; the nearest one is ", meant));
  EXPECT_EQ(message(parse_thinking_request, R"({"prompt":"a"})"), "this route has no field prompt");
  EXPECT_EQ(message(parse_tokenize_request, R"({"text":"a"})"), "this route has no field text");
  EXPECT_EQ(message(parse_generate_request, R"({"prompt":"a","":1})"),
            "this route has no field with an empty name, \"\"");
}

TEST(GenerateRequest, SynonymsAndContradictions) {
  const GenerateRequest synonym = parse_generate_request(parse_request("{\"prompt\":\"a\",\"max_new_tokens\":7}"));
  EXPECT_EQ(synonym.max_length->tokens, 7);
  EXPECT_EQ(synonym.max_length->param, "max_new_tokens");
  EXPECT_EQ(native("\"max_length\":7,\"max_tokens\":7"), "");
  EXPECT_EQ(native("\"max_length\":7,\"max_tokens\":8"), "invalid_value max_tokens");
  EXPECT_EQ(native("\"raw\":true,\"system\":\"a\""), "invalid_value system");
  EXPECT_EQ(verdict(parse_generate_request, "{}"), "invalid_value prompt");
  EXPECT_EQ(verdict(parse_generate_request, "{\"prompt\":\"\"}"), "invalid_value prompt");
  EXPECT_EQ(verdict(parse_generate_request, "{\"prompt\":\" \"}"), "");
}

TEST(Sampling, DefaultsAndEdges) {
  SamplingParams defaults;
  defaults.temperature = 0.7f;
  defaults.top_k = 20;
  SamplingFields fields;
  const SamplingParams a = apply_sampling(fields, defaults), b = apply_sampling(fields, defaults);
  EXPECT_FLOAT_EQ(a.temperature, 0.7f);
  EXPECT_EQ(a.top_k, 20);
  EXPECT_NE(a.seed, b.seed);  // drawn
  fields.temperature = 1e-30;
  fields.top_p = 1e-300;
  fields.top_k = -1;
  fields.seed = 5;
  const SamplingParams edge = apply_sampling(fields, defaults);
  EXPECT_EQ(edge.temperature, 0);
  EXPECT_GT(edge.top_p, 0);
  EXPECT_EQ(edge.top_k, 0);
  EXPECT_EQ(edge.seed, 5u);
}

TEST(ChatRequest, UnknownFieldsAndNullAreIgnored) {
  EXPECT_EQ(chat("\"user\":\"me\",\"metadata\":{\"a\":1},\"store\":true,\"service_tier\":\"auto\""), "");
  EXPECT_EQ(chat("\"temperature\":null,\"stop\":null,\"tools\":null,\"logprobs\":false,\"n\":1,\"top_logprobs\":null,"
                 "\"seed\":null"),
            "");
  EXPECT_EQ(chat("\"temperature\":-1"), "invalid_value temperature");
  EXPECT_EQ(chat("\"max_completion_tokens\":0"), "invalid_value max_completion_tokens");
}

TEST(ChatRequest, WhatIsNotDoneIsRefusedAndNeverDropped) {
  for (const char* row :
       {"\"best_of\":4|best_of", "\"n\":2,\"best_of\":4|best_of", "\"logprobs\":true|logprobs",
        "\"top_logprobs\":3|top_logprobs", "\"response_format\":{\"type\":\"json_object\"}|response_format",
        "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{}}|response_format",
        "\"functions\":[{}]|functions", "\"tool_choice\":\"required\"|tool_choice",
        "\"tool_choice\":{\"type\":\"function\"}|tool_choice", "\"use_beam_search\":true|use_beam_search",
        "\"prompt_embeds\":\"AAAA\"|prompt_embeds", "\"chat_template\":\"{{x}}\"|chat_template",
        "\"modalities\":[\"text\",\"audio\"]|modalities", "\"guided_regex\":\"a\"|guided_regex"}) {
    const std::string text = row;
    EXPECT_EQ(chat(text.substr(0, text.find('|'))), "unsupported_parameter " + text.substr(text.find('|') + 1)) << row;
  }
  for (const char* count : {"0", "9", "1000000", "2147483648", "1.5", "\"2\""})
    EXPECT_EQ(chat(str("\"n\":", count)), "invalid_value n") << count;
  EXPECT_EQ(chat("\"n\":8,\"best_of\":8"), "");
  EXPECT_EQ(chat("\"response_format\":{\"type\":\"text\"},\"tool_choice\":\"auto\",\"modalities\":[\"text\"]"), "");
}

TEST(ChatRequest, Messages) {
  EXPECT_EQ(messages("[]"), "invalid_value messages");
  EXPECT_EQ(verdict(parse_chat_request, "{}"), "invalid_value messages");
  EXPECT_EQ(messages("[1]"), "invalid_value messages[0]");
  EXPECT_EQ(messages("[{\"content\":\"a\"}]"), "invalid_value messages[0].role");
  EXPECT_EQ(messages("[{\"role\":\"wizard\",\"content\":\"a\"}]"), "invalid_value messages[0].role");
  EXPECT_EQ(messages("[{\"role\":\"user\"}]"), "invalid_value messages[0].content");
  EXPECT_EQ(messages("[{\"role\":\"user\",\"content\":null}]"), "invalid_value messages[0].content");
  EXPECT_EQ(messages("[{\"role\":\"user\",\"content\":1}]"), "invalid_value messages[0].content");
  EXPECT_EQ(
      messages("[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"http://x\"}}]}]"),
      "unsupported_parameter messages[0].content[0]");
  EXPECT_EQ(messages("[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]"),
            "invalid_value messages[0].content[0].text");
  EXPECT_EQ(messages("[{\"role\":\"assistant\",\"content\":null},{\"role\":\"user\",\"content\":\"a\"}]"), "");
  std::string many = "[";
  for (int i = 0; i < 2049; ++i) many += str(i ? "," : "", "{\"role\":\"user\",\"content\":\"a\"}");
  EXPECT_EQ(messages(many + "]"), "invalid_value messages");

  const ChatRequest request = parse_chat_request(parse_request(
      R"({"messages":[{"role":"developer","content":"s"},{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]})"));
  EXPECT_EQ(request.conversation.messages[0].role, "system");
  EXPECT_EQ(request.conversation.messages[1].content, "ab");
}

TEST(ChatRequest, TemplateOptionsAndTools) {
  const auto options = [](const std::string& fields) {
    return parse_chat_request(parse_request("{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]," + fields + "}"))
        .conversation.options;
  };
  EXPECT_TRUE(options("\"seed\":1").thinking);
  EXPECT_FALSE(options("\"chat_template_kwargs\":{\"enable_thinking\":false}").thinking);
  EXPECT_EQ(chat("\"chat_template_kwargs\":{\"messages\":[]}"), "unknown_parameter chat_template_kwargs.messages");
  EXPECT_EQ(chat("\"chat_template_kwargs\":{\"enable_thinking\":\"no\"}"),
            "invalid_value chat_template_kwargs.enable_thinking");
  const std::string tool = R"("tools":[{"type":"function","function":{"name":"f","parameters":{}}}])";
  EXPECT_EQ(chat(tool), "unsupported_parameter tools");
  EXPECT_EQ(options(tool + ",\"tool_choice\":\"none\"").tools.size(), 0u);
  EXPECT_EQ(chat("\"tools\":[{\"type\":\"function\"}]"), "invalid_value tools[0]");
  EXPECT_EQ(chat("\"tools\":{}"), "invalid_value tools");
}

TEST(ChatRequest, StreamOptionsAndLogitBias) {
  EXPECT_EQ(chat("\"stream_options\":{\"include_usage\":true}"), "invalid_value stream_options");
  EXPECT_EQ(chat("\"stream\":true,\"stream_options\":{\"include_usage\":true}"), "");
  EXPECT_EQ(chat("\"logit_bias\":{\"12\":-100,\"13\":1.5}"), "");
  for (const char* bad : {"{\"a\":1}", "{\"-1\":1}", "{\"1\":101}", "{\"1\":\"x\"}", "[1]", "{\"99999999999\":1}"})
    EXPECT_EQ(chat(str("\"logit_bias\":", bad)), "invalid_value logit_bias") << bad;
  std::string many = "{";
  for (int i = 0; i < 301; ++i) many += str(i ? "," : "", "\"", i, "\":1");
  EXPECT_EQ(chat("\"logit_bias\":" + many + "}"), "invalid_value logit_bias");
}

}  // namespace
}  // namespace qwen
