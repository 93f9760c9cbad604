#include "text/template_family.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "text/chat_template.h"
#include "text/jinja_literals.h"
#include "text/model_folder.h"

namespace qwen {
namespace {

// A template of our own that renders as Qwen3-Thinking-2507; `prompt` is its generation prompt.
std::string own_template(const std::string& prompt) {
  return R"({%- if tools %}{{- '<|im_start|>system\n' }}{%- if messages[0]['role'] == 'system' %}{{- messages[0]['content'] + "\n\n" }}
{%- endif %}# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>{% for tool in tools %}{{ "\n" + tool | tojson }}{% endfor %}
{# two newlines: one is trimmed #}
{{ "\n" }}</tools>

For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:
<tool_call>
{{ '{"name": <function-name>, "arguments": <args-json-object>}\n' -}}
</tool_call><|im_end|>{{ '\n' }}{%- else %}{{- '<|im_start|>system\n' ~ messages[0].content ~ "<|im_end|>\n" }}{%- endif %}
{%- for m in messages -%}
{{ '<|im_start|>' + m.role + '\n' }}<think>{{ '\n' ~ m.thought ~ '\n' -}} </think>{{ '\n\n' ~ m.content ~ '<|im_end|>\n' }}
{{- '\n<tool_call>\n{"name": "' ~ c.name ~ "\", \"arguments\": " ~ c.arguments ~ '}\n</tool_call>' }}
{{- '\n<tool_response>\n' ~ m.content ~ '\n</tool_response>' }}
{%- endfor %}
{%- if add_generation_prompt %})" +
         prompt + "{% endif %}";
}

const char* kThinkingPrompt = R"({{- '<|im_start|>assistant\n<think>\n' }})";

std::string refusal(const std::string& text) {
  try {
    match_template(text, "folder/chat_template.jinja");
    return "recognised";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadData);
    return error.what();
  }
}

TEST(TemplateFamily, RecognisesFeatures) {
  const TemplateMatch thinking = match_template(own_template(kThinkingPrompt), "x");
  EXPECT_EQ(thinking.family, TemplateFamily::kThinking2507);
  EXPECT_EQ(thinking.by, TemplateMatch::By::kFeatures);
  EXPECT_EQ(thinking.sha256.size(), 64u);
  EXPECT_EQ(match_template(own_template(R"({{- '<|im_start|>assistant\n' }})"), "x").family,
            TemplateFamily::kInstruct2507);
  EXPECT_EQ(match_template(own_template(R"({{- '<|im_start|>assistant\n' }}{% if enable_thinking is false %}
{{- '<think>\n\n</think>\n\n' }}{% endif %})"),
                           "x")
                .family,
            TemplateFamily::kHybrid);
}

TEST(TemplateFamily, RefusesWhatTheProbesDoNotShow) {
  const std::string good = own_template(kThinkingPrompt);
  ASSERT_EQ(refusal(good), "recognised");
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    EXPECT_NE(text.find(from), std::string::npos) << from;
    return refusal(text.replace(text.find(from), from.size(), to));
  };
  for (const std::string& message :
       {changed("# Tools", "# Functions"), changed("<tool_response>", "<result>"),
        changed("'<|im_end|>\\n' }}\n{{-", "'</s>' }}\n{{-"), refusal("{{ 'You are Qwen. ' }}" + good),
        refusal("<s>" + good), refusal("{{ messages[0].content }}"), refusal(""),
        refusal(own_template("{{- '<|im_start|>bot\\n<think>\\n' }}")),
        refusal(own_template("{% if enable_thinking %}" + std::string(kThinkingPrompt) + "{% endif %}")),
        refusal(good + "{{ 'open"), refusal(good + "{% if"), refusal(good + "{#"),
        refusal(std::string(2 << 20, ' '))}) {
    EXPECT_NE(message.find("folder/chat_template.jinja"), std::string::npos) << message;
    EXPECT_NE(message.find("--chat-template thinking-2507|hybrid|instruct"), std::string::npos) << message;
  }
}

TEST(TemplateFamily, DemoModelIsRecognised) {
  const std::filesystem::path demo = std::filesystem::path(QWEN_SOURCE_DIR) / "models/demo";
  if (!std::filesystem::exists(demo / "tokenizer_config.json")) GTEST_SKIP() << "models/demo is not here";
  EXPECT_EQ(ChatTemplate::detect(demo).family(), TemplateFamily::kThinking2507);
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

  const std::string thinking = own_template(kThinkingPrompt),
                    instruct = own_template(R"({{- '<|im_start|>assistant\n' }})");
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
  folder.write("chat_template.jinja", instruct);
  EXPECT_EQ(ChatTemplate::detect(folder.path()).family_name(), "instruct");
}

TEST(TemplateFamily, Names) {
  for (const TemplateFamily family :
       {TemplateFamily::kThinking2507, TemplateFamily::kHybrid, TemplateFamily::kInstruct2507})
    EXPECT_EQ(template_family_from_name(template_family_name(family)), family);
  EXPECT_FALSE(template_family_from_name(""));
}

TEST(JinjaLiterals, FollowsJinjasWhiteSpaceRules) {
  const auto literals = [](const char* text) { return jinja_literals(text)->literals; };
  using Literals = std::vector<std::string>;
  EXPECT_EQ(literals("a {{ 'b' }} c"), (Literals{"a ", "b", " c"}));
  EXPECT_EQ(literals("a {{- x -}} c"), (Literals{"a", "c"}));
  EXPECT_EQ(literals("a\n  {% if x %}\n  b\n  {# c #}\nd\n"), (Literals{"a\n", "  b\n", "d"}));
  EXPECT_EQ(literals("a {% if x %}b"), (Literals{"a ", "b"}));
  EXPECT_EQ(literals("{%+ if x %}{{ \"q\\\"\\n\\t\\\\'\" }}{ {}"), (Literals{"q\"\n\t\\'", "{ {}"}));
  EXPECT_EQ(jinja_literals("{{ 'a' ~ name }}{{ 'b' }}")->after("name"), "b");
  EXPECT_TRUE(jinja_literals("{% if enable_thinking %}")->mentions("enable_thinking"));
  EXPECT_FALSE(jinja_literals("{# enable_thinking #}{{ 'enable_thinking' }}")->mentions("enable_thinking"));
}

}  // namespace
}  // namespace qwen
