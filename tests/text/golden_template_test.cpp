// The coded template families against renders of the published templates.
#include <string>

#include "base/error.h"
#include "base/hash.h"
#include "text/chat_template.h"
#include "text/conversation.h"
#include "text/shared_data.h"
#include "text/tokenizer.h"

namespace qwen {
namespace {

using nlohmann::ordered_json;

constexpr const char* kGolden = "golden/chat_template.jsonl";

// The golden line as the render command takes it. The raw text is kept, so that numbers reach the parser as they were
// written.
std::string command_line(std::string line) {
  const std::string key = "\"kwargs\":";
  if (const size_t at = line.find(key); at != std::string::npos)
    line.replace(at, key.size(), "\"chat_template_kwargs\":");
  return line;
}

void for_each_conversation(const std::function<void(const ordered_json&, const std::string&)>& check) {
  std::ifstream in(testing::shared_data(kGolden));
  std::string line;
  int cases = 0;
  while (std::getline(in, line)) {
    ++cases;
    const auto golden = ordered_json::parse(line);
    SCOPED_TRACE(golden.at("id").get<std::string>());
    check(golden, command_line(line));
  }
  EXPECT_EQ(cases, 91);
}

std::string published_thinking() {
  std::ifstream in(testing::shared_data("qwen3-tokenizer/tokenizer_config.json"));
  return ordered_json::parse(in).at("chat_template");
}

void replace_once(std::string& text, const std::string& from, const std::string& to) {
  ASSERT_NE(text.find(from), std::string::npos) << from;
  text.replace(text.find(from), from.size(), to);
}

// The other published templates, made from the one that is at hand; their digests show that nothing is amiss.
std::string published_first_instruct() {
  std::string text = published_thinking();
  replace_once(text, "assistant\\n<think>\\n' }}", "assistant\\n' }}");
  EXPECT_EQ(sha256_hex(text), "40c21f34cf67d8c760ef72f8ad3ae5afad514299d4b06e91dd9a8d705af7b541");
  return text;
}

std::string published_instruct() {
  std::string text = published_first_instruct();
  const size_t query = text.find("{%- set ns ="), loop = text.find("{%- for message in messages %}");
  text.erase(query, loop - query);
  const size_t thought = text.find("        {%- set reasoning_content = ''"),
               calls = text.find("        {%- if message.tool_calls");
  text.replace(thought, calls - thought, "        {{- '<|im_start|>' + message.role + '\\n' + content }}\n");
  EXPECT_EQ(sha256_hex(text), "64f85b198065d0fba2a81f37e10ed68161ce2c19a754c7100e67e0ca2ee9c326");
  return text;
}

std::string published_hybrid() {
  std::string text = published_first_instruct();
  text.erase(text.rfind("{%- endif %}"));
  text +=
      "    {%- if enable_thinking is defined and enable_thinking is false %}\n"
      "        {{- '<think>\\n\\n</think>\\n\\n' }}\n    {%- endif %}\n{%- endif %}";
  EXPECT_EQ(sha256_hex(text), "a55ee1b1660128b7098723e0abcd92caa0788061051c62d51cbe87d9cf1974d8");
  return text;
}

TEST(GoldenTemplate, PublishedTemplatesAreRecognised) {
  QWEN_NEED_SHARED_DATA("qwen3-tokenizer");
  const ChatTemplate found = ChatTemplate::detect(testing::shared_data("qwen3-tokenizer"));
  EXPECT_EQ(found.family(), TemplateFamily::kThinking2507);
  EXPECT_EQ(found.match().by, TemplateMatch::By::kDigest);
  const std::pair<std::string, TemplateFamily> published[] = {
      {published_thinking(), TemplateFamily::kThinking2507},
      {published_instruct(), TemplateFamily::kInstruct2507},
      {published_first_instruct(), TemplateFamily::kInstruct2507First},
      {published_hybrid(), TemplateFamily::kHybrid},
  };
  for (const auto& [text, family] : published) {
    EXPECT_EQ(match_template(text, "x").family, family);
    EXPECT_EQ(match_template("{# ours #}\n" + text + "\n", "x").family, family);
    std::string other = text;
    replace_once(other, "not loop.first", "loop.first");
    EXPECT_THROW(match_template(other, "x"), Error);
  }
}

TEST(GoldenTemplate, Renders) {
  QWEN_NEED_SHARED_DATA(kGolden);
  const ChatTemplate chat(TemplateFamily::kThinking2507);
  for_each_conversation([&](const ordered_json& golden, const std::string& line) {
    if (golden.contains("error")) {
      try {
        const Conversation conversation = parse_conversation_json(line);
        ADD_FAILURE() << chat.render(conversation.messages, conversation.options);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kInvalidValue);
      }
      return;
    }
    const Conversation conversation = parse_conversation_json(line);
    EXPECT_EQ(chat.render(conversation.messages, conversation.options), golden.at("rendered").get<std::string>());
  });
}

// The other families write the same but for the generation prompt.
TEST(GoldenTemplate, OtherFamiliesDifferInTheGenerationPrompt) {
  QWEN_NEED_SHARED_DATA(kGolden);
  const ChatTemplate hybrid(TemplateFamily::kHybrid), instruct(TemplateFamily::kInstruct2507First);
  const std::string opening = "<think>\n", closed = "<think>\n\n</think>\n\n";
  for_each_conversation([&](const ordered_json& golden, const std::string& line) {
    if (golden.contains("error")) return;
    Conversation conversation = parse_conversation_json(line);
    std::string rendered = golden.at("rendered");
    if (golden.at("add_generation_prompt")) rendered.erase(rendered.size() - opening.size());
    EXPECT_EQ(instruct.render(conversation.messages, conversation.options), rendered);
    const bool off = conversation.options.enable_thinking == false;
    EXPECT_EQ(hybrid.render(conversation.messages, conversation.options), rendered + (off ? closed : ""));
  });
}

TEST(GoldenTemplate, TokenIds) {
  QWEN_NEED_SHARED_DATA(kGolden);
  const Tokenizer tokenizer = Tokenizer::load(testing::shared_data("qwen3-tokenizer"));
  const ChatTemplate chat(TemplateFamily::kThinking2507);
  int same_when_safe = 0;
  for_each_conversation([&](const ordered_json& golden, const std::string& line) {
    if (golden.contains("error")) return;
    const Conversation conversation = parse_conversation_json(line);
    const std::vector<TokenId> ids = golden.at("ids");
    EXPECT_EQ(tokenizer.encode(chat.render(conversation.messages, conversation.options)), ids);
    const std::vector<TextSegment> segments = chat.render_segments(conversation.messages, conversation.options);
    bool benign = true;  // no caller's text spells a control token
    for (const TextSegment& segment : segments)
      if (!segment.trusted)
        benign = benign && tokenizer.encode(segment.text) == tokenizer.encode(segment.text, AddedTokens::kAsText);
    EXPECT_EQ(tokenizer.encode(segments) == ids, benign);
    same_when_safe += benign;
  });
  EXPECT_GT(same_when_safe, 70);
}

}  // namespace
}  // namespace qwen
