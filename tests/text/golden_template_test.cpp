// The coded template families against renders of the published templates.
#include <string>

#include "base/error.h"
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

TEST(GoldenTemplate, IsRecognisedByItsDigest) {
  QWEN_NEED_SHARED_DATA("qwen3-tokenizer");
  const ChatTemplate found = ChatTemplate::detect(testing::shared_data("qwen3-tokenizer"));
  EXPECT_EQ(found.family(), TemplateFamily::kThinking2507);
  EXPECT_EQ(found.match().by, TemplateMatch::By::kDigest);
}

// Changed by a comment the digest no longer helps; the features must.
TEST(GoldenTemplate, IsRecognisedByItsFeatures) {
  QWEN_NEED_SHARED_DATA("qwen3-tokenizer");
  std::ifstream in(testing::shared_data("qwen3-tokenizer/tokenizer_config.json"));
  const std::string text = ordered_json::parse(in).at("chat_template");
  const TemplateMatch match = match_template("{# ours #}" + text, "test");
  EXPECT_EQ(match.family, TemplateFamily::kThinking2507);
  EXPECT_EQ(match.by, TemplateMatch::By::kFeatures);

  const std::string prompt = "{{- '<|im_start|>assistant\\n<think>\\n' }}";
  std::string instruct = text;
  instruct.replace(instruct.rfind(prompt), prompt.size(), "{{- '<|im_start|>assistant\\n' }}{# ours #}");
  EXPECT_EQ(match_template(instruct, "test").family, TemplateFamily::kInstruct2507);

  std::string hybrid = text;
  hybrid.replace(hybrid.rfind(prompt), prompt.size(),
                 "{{- '<|im_start|>assistant\\n' }}{% if enable_thinking is defined and enable_thinking is false %}"
                 "{{- '<think>\\n\\n</think>\\n\\n' }}{% endif %}");
  EXPECT_EQ(match_template(hybrid, "test").family, TemplateFamily::kHybrid);

  std::string other_tools = text;
  other_tools.replace(other_tools.find("# Tools"), 7, "# Functions");
  EXPECT_THROW(match_template(other_tools, "test"), Error);
  EXPECT_THROW(match_template("{{- 'You are a pirate.\\n' }}" + text, "test"), Error);
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
  const ChatTemplate hybrid(TemplateFamily::kHybrid), instruct(TemplateFamily::kInstruct2507);
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
