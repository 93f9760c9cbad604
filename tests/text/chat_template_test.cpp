#include "text/chat_template.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "text/conversation.h"
#include "text/model_folder.h"

namespace qwen {
namespace {

const ChatTemplate kThinking(TemplateFamily::kThinking2507);
const ChatTemplate kHybrid(TemplateFamily::kHybrid);
const ChatTemplate kInstruct(TemplateFamily::kInstruct2507);

const Message kHi{"user", "Hi"};

TEST(ChatTemplate, AgreesWithTheReference) {
  std::istringstream in(testing::file_text(testing::text_data("render.jsonl")));
  int cases = 0;
  for (std::string line; std::getline(in, line); ++cases) {
    const Conversation conversation = parse_conversation_json(line);
    EXPECT_EQ(kThinking.render(conversation.messages, conversation.options),
              nlohmann::json::parse(line).at("rendered").get<std::string>())
        << line;
  }
  EXPECT_EQ(cases, 250);
}

TEST(ChatTemplate, GenerationPrompts) {
  const std::vector<Message> messages = {kHi};
  const std::string head = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
                    closed = "<think>\n\n</think>\n\n";
  EXPECT_EQ(kThinking.render(messages), head + "<think>\n");
  EXPECT_EQ(kHybrid.render(messages), head);
  EXPECT_EQ(kInstruct.render(messages), head);
  const TemplateOptions without{.thinking = false};
  EXPECT_EQ(kThinking.render(messages, without), head + closed);
  EXPECT_EQ(kHybrid.render(messages, without), head + closed);
  EXPECT_EQ(kInstruct.render(messages, without), head);
  const TemplateOptions variable{.enable_thinking = false};
  EXPECT_EQ(kThinking.render(messages, variable), head + "<think>\n");  // this template does not look at it
  EXPECT_EQ(kHybrid.render(messages, variable), head + closed);
  EXPECT_EQ(kHybrid.render(messages, {.enable_thinking = true}), head);
  EXPECT_TRUE(starts_in_thought(kThinking.render(messages)));
  EXPECT_FALSE(starts_in_thought(kHybrid.render(messages)));
  EXPECT_FALSE(starts_in_thought(kThinking.render(messages, without)));
  EXPECT_TRUE(kHybrid.thinks());
  EXPECT_FALSE(kInstruct.thinks());
}

TEST(ChatTemplate, InstructWritesAnswersAsTheyAre) {
  const std::vector<Message> messages = {kHi, {"assistant", "<think>\nR\n</think>\n\nA", "R", {{"f", "{}"}}}};
  const TemplateOptions past{.add_generation_prompt = false};
  const std::string head = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
                    tail = "\n<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call><|im_end|>\n";
  EXPECT_EQ(kInstruct.render(messages, past), head + "<think>\nR\n</think>\n\nA" + tail);
  const std::vector<Message> plain = {kHi, {"assistant", "A"}};
  EXPECT_EQ(kInstruct.render(plain, past), head + "A<|im_end|>\n");
  const ChatTemplate first(TemplateFamily::kInstruct2507First);
  EXPECT_EQ(first.render(plain, past), head + "<think>\n\n</think>\n\nA<|im_end|>\n");
  EXPECT_EQ(first.render(std::vector<Message>{kHi}), head);
  EXPECT_FALSE(first.thinks());
}

TEST(ChatTemplate, ContinuesTheFinalMessage) {
  const TemplateOptions open{.continue_final_message = true};
  EXPECT_EQ(kThinking.render(std::vector<Message>{kHi, {"assistant", "partial"}}, open),
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\npartial");
  EXPECT_EQ(kThinking.render(std::vector<Message>{{"user", "Hi "}}, open), "<|im_start|>user\nHi ");
  const std::vector<Message> impossible = {
      {"tool", "x"}, {"system", "x"}, {"assistant", std::nullopt}, {"assistant", "x", std::nullopt, {{"f", "{}"}}}};
  for (const Message& last : impossible)
    EXPECT_THROW(kThinking.render(std::vector<Message>{kHi, last}, open), Error) << last.role;
}

TEST(ChatTemplate, RefusesWhatTheTemplateRefuses) {
  const auto param = [](const std::vector<Message>& messages) {
    try {
      return kThinking.render(messages);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidValue);
      return error.param();
    }
  };
  EXPECT_EQ(param({}), "messages");
  EXPECT_EQ(param({{"system", std::nullopt}, kHi}), "messages[0].content");
}

TEST(ChatTemplate, SegmentsTellScaffoldingFromCallersText) {
  const std::vector<Message> messages = {
      {"system", "S<|im_end|>"}, kHi, {"assistant", "A", "R", {{"f", "{}"}}}, {"tool", "T"}, {"other", "never"}};
  const std::vector<TextSegment> segments = kThinking.render_segments(messages, {.tools = {"{\"tool\": 1}"}});
  std::string joined, untrusted;
  for (size_t i = 0; i < segments.size(); ++i) {
    EXPECT_FALSE(segments[i].text.empty());
    EXPECT_TRUE(i == 0 || segments[i].trusted != segments[i - 1].trusted);
    joined += segments[i].text;
    if (!segments[i].trusted) untrusted += segments[i].text + "|";
  }
  EXPECT_EQ(untrusted, "S<|im_end|>|{\"tool\": 1}|Hi|R|A|f|{}|T|");
  EXPECT_EQ(joined, kThinking.render(messages, {.tools = {"{\"tool\": 1}"}}));
}

TEST(Conversation, RefusesWrongTypes) {
  const std::pair<const char*, const char*> cases[] = {
      {"{}", "messages"},
      {R"({"messages":{}})", "messages"},
      {R"({"messages":["x"]})", "messages[0]"},
      {R"({"messages":[{"role":"assistant","tool_calls":["x"]}]})", "messages[0].tool_calls[0]"},
      {R"({"messages":[{"role":"assistant","tool_calls":"x"}]})", "messages[0].tool_calls"},
      {R"({"messages":[{"role":"assistant","tool_calls":[{"name":5,"arguments":{}}]}]})",
       "messages[0].tool_calls[0].name"},
      {R"({"messages":[],"tools":{}})", "tools"},
      {R"({"messages":[],"add_generation_prompt":"yes"})", "add_generation_prompt"},
      {R"({"messages":[],"chat_template_kwargs":[]})", "chat_template_kwargs"},
  };
  for (const auto& [json, param] : cases) {
    try {
      parse_conversation_json(json);
      ADD_FAILURE() << json;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidValue);
      EXPECT_EQ(error.param(), param) << json;
    }
  }
  EXPECT_THROW(parse_conversation_json("[]"), Error);
  EXPECT_THROW(parse_conversation_json("{"), Error);
}

TEST(Conversation, ReadsEveryField) {
  const Conversation read = parse_conversation_json(
      R"({"messages":[{"role":"assistant","content":"c","reasoning":"r","tool_calls":[{"function":{"name":"f","arguments":{"b":1.0}}}]}],
          "tools":[{"x": 1e22}],"add_generation_prompt":false,"continue_final_message":true,
          "chat_template_kwargs":{"enable_thinking":false,"thinking":false,"other":1}})");
  ASSERT_EQ(read.messages.size(), 1u);
  EXPECT_EQ(read.messages[0].reasoning_content, "r");
  ASSERT_EQ(read.messages[0].tool_calls.size(), 1u);
  EXPECT_EQ(read.messages[0].tool_calls[0].name, "f");
  EXPECT_EQ(read.messages[0].tool_calls[0].arguments_json, "{\"b\": 1.0}");
  EXPECT_EQ(read.options.tools, (std::vector<std::string>{"{\"x\": 1e+22}"}));
  EXPECT_FALSE(read.options.add_generation_prompt);
  EXPECT_TRUE(read.options.continue_final_message);
  EXPECT_FALSE(read.options.thinking);
  EXPECT_EQ(read.options.enable_thinking, false);
  const Conversation defaults = parse_conversation_json(R"({"messages":[],"tools":null,"chat_template_kwargs":null})");
  EXPECT_TRUE(defaults.options.add_generation_prompt && defaults.options.thinking);
  EXPECT_FALSE(defaults.options.enable_thinking.has_value());
}

TEST(Conversation, CheckRefusesWhatWouldVanishOrBreakOut) {
  const auto param = [](const Message& message) {
    try {
      check_messages(std::vector<Message>{kHi, message});
      return std::string("fine");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidValue);
      return error.param();
    }
  };
  EXPECT_EQ(param({"assistant", "x", "r", {{"get_weather-2.x", "{\"a\": 1}"}}}), "fine");
  EXPECT_EQ(param({"developer", "x"}), "messages[1].role");
  EXPECT_EQ(param({"", "x"}), "messages[1].role");
  for (const char* name : {"", "a b", "x\"}", "名"})
    EXPECT_EQ(param({"assistant", "x", {}, {{name, "{}"}}}), "messages[1].tool_calls[0].name");
  for (const char* arguments : {"", "[]", "7", "{} {}", "{"})
    EXPECT_EQ(param({"assistant", "x", {}, {{"f", "{}"}, {"f", arguments}}}), "messages[1].tool_calls[1].arguments");
}

}  // namespace
}  // namespace qwen
