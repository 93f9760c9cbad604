#include "text/template_family.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/quote.h"
#include "text/jinja_tokens.h"

namespace qwen {
namespace {

struct KnownTemplate {
  std::string_view digest;  // of its tokens
  TemplateFamily family;
};

// The SHA-256 of the published text stands before each.
constexpr KnownTemplate kKnownTemplates[] = {
    // 3802169b2a02b81e6adb7ab4f64f91ff02db753c8c3a64a01c35192d3a61d8d7, Qwen3-4B-Thinking-2507
    {"3d865ca804a8875ee1e045c794d49dde864ffc9722e9d71089d29ef5b72cfc23", TemplateFamily::kThinking2507},
    // a55ee1b1660128b7098723e0abcd92caa0788061051c62d51cbe87d9cf1974d8, Qwen3-1.7B and its sizes
    {"dfbe23b85e0b7b74fc4704c06d87b04d7f557346313cf144c9834767ee0c4ba5", TemplateFamily::kHybrid},
    // 87a2728cb8dc9fe424d624542f6060ec05a1d285ebbec578bb078900e33396b5, their first edition, April 2025
    {"eefe3aea010b2ddbe15ec03cfd985e87bf78259f62becffff635a6115819a91a", TemplateFamily::kHybrid},
    // 64f85b198065d0fba2a81f37e10ed68161ce2c19a754c7100e67e0ca2ee9c326, Qwen3-4B-Instruct-2507
    {"8da5299c475d54dc21e102542e5c678ad451d2ae9aee7f35b7360ce5877029c4", TemplateFamily::kInstruct2507},
    // 40c21f34cf67d8c760ef72f8ad3ae5afad514299d4b06e91dd9a8d705af7b541, its first edition
    {"1d26bd7637729404da2a9cec4a9e79b2d2ed4782a5a3f99cbf98e9c012a2b4bd", TemplateFamily::kInstruct2507First},
    // models/demo
    {"cf0e285ad55be829983401cba85aab7d0a94fddc01db8bb8ccf9bf65a4621f96", TemplateFamily::kThinking2507},
};

struct FamilyName {
  TemplateFamily family;
  std::string_view name;
};
constexpr FamilyName kFamilyNames[] = {
    {TemplateFamily::kThinking2507, "thinking-2507"},
    {TemplateFamily::kHybrid, "hybrid"},
    {TemplateFamily::kInstruct2507, "instruct"},
    {TemplateFamily::kInstruct2507First, "instruct"},
};

bool is_name(const JinjaToken& token, std::string_view name) {
  return token.kind == JinjaToken::Kind::kName && token.text == name;
}

// Everything that the template may write behind the last mention of add_generation_prompt, in all its branches.
std::string generation_prompt(const std::vector<JinjaToken>& tokens) {
  const auto last = std::find_if(tokens.rbegin(), tokens.rend(),
                                 [](const JinjaToken& token) { return is_name(token, "add_generation_prompt"); });
  std::string prompt;
  if (last == tokens.rend()) return prompt;
  for (auto token = last.base(); token != tokens.end(); ++token)
    if (token->kind == JinjaToken::Kind::kText || token->kind == JinjaToken::Kind::kString) prompt += token->text;
  return prompt;
}

// The family whose features the template has.
std::optional<TemplateFamily> resembled(const std::vector<JinjaToken>& tokens, std::string_view prompt) {
  const bool switched = std::any_of(tokens.begin(), tokens.end(),
                                    [](const JinjaToken& token) { return is_name(token, "enable_thinking"); });
  if (switched && prompt == "<|im_start|>assistant\n<think>\n\n</think>\n\n") return TemplateFamily::kHybrid;
  if (!switched && prompt == "<|im_start|>assistant\n<think>\n") return TemplateFamily::kThinking2507;
  if (!switched && prompt == "<|im_start|>assistant\n") return TemplateFamily::kInstruct2507;
  return std::nullopt;
}

}  // namespace

std::string_view template_family_name(TemplateFamily family) {
  for (const FamilyName& entry : kFamilyNames)
    if (entry.family == family) return entry.name;
  return {};
}

std::optional<TemplateFamily> template_family_from_name(std::string_view name) {
  for (const FamilyName& entry : kFamilyNames)
    if (entry.name == name) return entry.family;
  return std::nullopt;
}

TemplateMatch match_template(std::string_view text, std::string_view source) {
  const std::optional<std::vector<JinjaToken>> tokens = jinja_tokens(text);
  if (!tokens)
    throw Error(ErrorCode::kBadData,
                str(source,
                    ": the chat template cannot be read as a Jinja template; say which family it is with "
                    "--chat-template thinking-2507|hybrid|instruct"));
  std::string digest = digest_of(*tokens);
  for (const KnownTemplate& known : kKnownTemplates)
    if (known.digest == digest) return {known.family, TemplateMatch::By::kDigest, std::move(digest)};

  const std::string prompt = generation_prompt(*tokens);
  const std::optional<TemplateFamily> family = resembled(*tokens, prompt);
  const std::string seen = family
                               ? str("it looks like ", template_family_name(*family), " but may write something else")
                               : str("its generation prompt is ", quote(prompt));
  throw Error(ErrorCode::kBadData, str(source, ": the chat template (digest ", std::string_view(digest).substr(0, 12),
                                       ") is not a known one: ", seen,
                                       "; say which family it is with --chat-template thinking-2507|hybrid|instruct"));
}

}  // namespace qwen
