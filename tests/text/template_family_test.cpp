#include "text/template_family.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "text/chat_template.h"
#include "text/model_folder.h"

namespace qwen {
namespace {

// The template of models/demo, which renders as Qwen3-Thinking-2507.
std::string demo_template() {
  const std::string config =
      testing::file_text(std::filesystem::path(QWEN_SOURCE_DIR) / "models/demo/tokenizer_config.json");
  return nlohmann::json::parse(config).at("chat_template");
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  for (; at != std::string::npos; at = text.find(from, at + to.size())) text.replace(at, from.size(), to);
  return text;
}

std::string refusal(const std::string& text) {
  try {
    match_template(text, "folder/chat_template.jinja");
    return "recognised";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadData);
    return error.what();
  }
}

TEST(TemplateFamily, RecognisesATemplateHoweverItIsLaidOut) {
  const std::string demo = demo_template();
  const TemplateMatch match = match_template(demo, "x");
  EXPECT_EQ(match.family, TemplateFamily::kThinking2507);
  EXPECT_EQ(match.by, TemplateMatch::By::kDigest);
  EXPECT_EQ(match.digest.size(), 64u);
  for (const std::string& same :
       {replaced(demo, "\n", "\r\n"), replaced(demo, "\n", "\n\n  "), demo + "\n", "{# ours #}\n" + demo,
        replaced(demo, "-%}", "  -%}{# why -#} "), replaced(demo, "'user'", "\"user\""), replaced(demo, " == ", "=="),
        replaced(demo, "m.role", "m . role")}) {
    EXPECT_EQ(refusal(same), "recognised") << same;
    EXPECT_EQ(match_template(same, "x").digest, match.digest);
  }
}

TEST(TemplateFamily, RefusesAnyOtherProgram) {
  const std::string demo = demo_template();
  for (const std::string& other :
       {replaced(demo, "loop.index0 > found.query and (loop.last or thought)", "thought"),
        replaced(demo, "found.query < 0", "found.query > 0"), replaced(demo, "loop.last or", "not loop.last or"),
        replaced(demo, "# Tools", "# Functions"), replaced(demo, "'user'", "'client'"),
        replaced(demo, "~ role", "~ ' ' ~ role"), "{{ 'You are Qwen. ' }}" + demo, "<s>" + demo,
        replaced(demo, "'<|im_start|>user'", "'<|im_start|>use\\x72'")}) {
    const std::string message = refusal(other);
    EXPECT_NE(message.find("folder/chat_template.jinja"), std::string::npos) << message;
    EXPECT_NE(message.find("looks like thinking-2507"), std::string::npos) << message;
    EXPECT_NE(message.find("--chat-template thinking-2507|hybrid|instruct"), std::string::npos) << message;
  }
}

TEST(TemplateFamily, SaysWhichFamilyATemplateLooksLike) {
  const std::string head = "{% for m in messages %}{{ m.content }}{% endfor %}{% if add_generation_prompt %}";
  const auto with_prompt = [&](const std::string& prompt) { return refusal(head + prompt + "{% endif %}"); };
  EXPECT_NE(with_prompt("{{- '<|im_start|>assistant\\n<think>\\n' }}").find("like thinking-2507"), std::string::npos);
  EXPECT_NE(with_prompt("{{- '<|im_start|>assistant\\n' }}").find("like instruct"), std::string::npos);
  EXPECT_NE(with_prompt("{{- '<|im_start|>assistant\\n' }}{% if enable_thinking is false %}"
                        "{{- '<think>\\n\\n</think>\\n\\n' }}{% endif %}")
                .find("like hybrid"),
            std::string::npos);
  for (const std::string& message :
       {with_prompt("{{- '<|im_start|>bot\\n<think>\\n' }}"), refusal("{{ messages[0].content }}"), refusal(""),
        with_prompt("{% if enable_thinking %}{{- '<|im_start|>assistant\\n<think>\\n' }}{% endif %}"),
        refusal(head + "{{ 'open"), refusal(head + "{% if"), refusal(head + "{#"),
        refusal(std::string(2 << 20, ' '))}) {
    EXPECT_EQ(message.find("looks like"), std::string::npos) << message;
    EXPECT_NE(message.find("--chat-template thinking-2507|hybrid|instruct"), std::string::npos) << message;
  }
}

TEST(TemplateFamily, FilesAndOptions) {
  const testing::ModelFolder folder;
  const auto error = [&](std::string_view family = {}) {
    try {
      ChatTemplate::detect(folder.path(), family);
      return std::make_pair(ErrorCode::kInternal, std::string("detected"));
    } catch (const Error& problem) {
      return std::make_pair(problem.code(), std::string(problem.what()));
    }
  };
  EXPECT_EQ(error().first, ErrorCode::kBadData);
  EXPECT_NE(error().second.find("--chat-template"), std::string::npos);
  EXPECT_EQ(error("chatml").first, ErrorCode::kUsage);
  EXPECT_EQ(ChatTemplate::detect(folder.path(), "hybrid").family(), TemplateFamily::kHybrid);
  EXPECT_EQ(ChatTemplate::detect(folder.path(), "thinking-2507").match().by, TemplateMatch::By::kOption);

  folder.write("tokenizer_config.json", "{");
  EXPECT_EQ(error().first, ErrorCode::kBadData);
  folder.write("tokenizer_config.json", R"({"chat_template":null})");
  EXPECT_NE(error().second.find("has no chat template"), std::string::npos);

  const std::string thinking = demo_template();
  folder.write("tokenizer_config.json", nlohmann::json{{"chat_template", thinking}}.dump());
  EXPECT_EQ(ChatTemplate::detect(folder.path()).family(), TemplateFamily::kThinking2507);
  const auto entry = [](const char* name, const std::string& text) {
    return nlohmann::json{{"name", name}, {"template", text}};
  };
  folder.write(
      "tokenizer_config.json",
      nlohmann::json{{"chat_template", {entry("tool_use", "x"), entry("default", thinking), entry("rag", "y")}}}
          .dump());
  EXPECT_EQ(ChatTemplate::detect(folder.path()).family_name(), "thinking-2507");
  folder.write("chat_template.jinja", "{{ messages }}");
  EXPECT_NE(error().second.find("chat_template.jinja: the chat template"), std::string::npos) << error().second;
  EXPECT_EQ(ChatTemplate::detect(folder.path(), "instruct").family(), TemplateFamily::kInstruct2507);
}

TEST(TemplateFamily, Names) {
  for (const TemplateFamily family :
       {TemplateFamily::kThinking2507, TemplateFamily::kHybrid, TemplateFamily::kInstruct2507})
    EXPECT_EQ(template_family_from_name(template_family_name(family)), family);
  EXPECT_EQ(template_family_name(TemplateFamily::kInstruct2507First), "instruct");
  EXPECT_FALSE(template_family_from_name(""));
}

}  // namespace
}  // namespace qwen
