#include "text/template_family.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "base/quote.h"
#include "text/chat_template.h"
#include "text/jinja_literals.h"

namespace qwen {
namespace {

struct KnownTemplate {
  std::string_view sha256;
  TemplateFamily family;
};

constexpr KnownTemplate kKnownTemplates[] = {
    {"3802169b2a02b81e6adb7ab4f64f91ff02db753c8c3a64a01c35192d3a61d8d7",
     TemplateFamily::kThinking2507},  // Qwen3-4B-Thinking-2507
    {"40c21f34cf67d8c760ef72f8ad3ae5afad514299d4b06e91dd9a8d705af7b541",
     TemplateFamily::kInstruct2507},  // Qwen3-4B-Instruct-2507
    {"a55ee1b1660128b7098723e0abcd92caa0788061051c62d51cbe87d9cf1974d8",
     TemplateFamily::kHybrid},  // Qwen3-1.7B and its sizes
    {"87a2728cb8dc9fe424d624542f6060ec05a1d285ebbec578bb078900e33396b5",
     TemplateFamily::kHybrid},  // their first edition, April 2025
};

struct FamilyName {
  TemplateFamily family;
  std::string_view name;
};
constexpr FamilyName kFamilyNames[] = {
    {TemplateFamily::kThinking2507, "thinking-2507"},
    {TemplateFamily::kHybrid, "hybrid"},
    {TemplateFamily::kInstruct2507, "instruct"},
};

// Each branch of the coded families is taken by one of these.
std::vector<Conversation> probe_conversations() {
  const Message system{"system", "S"}, user{"user", "U"}, thinking{"assistant", "A", "R"}, result{"tool", "T"};
  const Message caller{"assistant", "C", "R", {{"f", "{}"}, {"g", "{}"}}};
  std::vector<Conversation> probes;
  probes.push_back({{user}, {}});
  probes.push_back({{system, user, thinking, user}, {}});
  probes.push_back(
      {{system, user, caller, result, result, thinking}, {.tools = {"{}", "{}"}, .add_generation_prompt = false}});
  probes.push_back({{user, system, thinking}, {.tools = {"{}"}, .add_generation_prompt = false}});
  probes.push_back({{user}, {.enable_thinking = false}});
  return probes;
}

// The text is a sequence of the pieces, each used any number of times.
bool tiled_by(std::string_view text, const std::vector<std::string>& pieces) {
  std::vector<bool> reachable(text.size() + 1, false);
  reachable[0] = true;
  for (size_t at = 0; at < text.size(); ++at) {
    if (!reachable[at]) continue;
    for (const std::string& piece : pieces)
      if (!piece.empty() && text.compare(at, piece.size(), piece) == 0) reachable[at + piece.size()] = true;
  }
  return reachable[text.size()];
}

// A member's name or a role (message['content'], role == "user"): says nothing about what is written.
bool is_word(std::string_view literal) {
  return std::all_of(literal.begin(), literal.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || c == '_' || (c >= '0' && c <= '9'); });
}

// Everything that a template of this family writes behind `add_generation_prompt`, in all its branches.
std::string_view prompt_literals(TemplateFamily family) {
  switch (family) {
    case TemplateFamily::kThinking2507:
      return "<|im_start|>assistant\n<think>\n";
    case TemplateFamily::kHybrid:
      return "<|im_start|>assistant\n<think>\n\n</think>\n\n";
    case TemplateFamily::kInstruct2507:
      return "<|im_start|>assistant\n";
  }
  return {};
}

// What keeps the template from being of this family; empty where nothing does.
std::string difference(TemplateFamily family, const JinjaLiterals& found) {
  const ChatTemplate coded(family);
  const std::string prompt = found.after("add_generation_prompt");
  if (prompt != prompt_literals(family)) return str("its generation prompt is ", quote(prompt));
  std::vector<std::string> pieces = found.literals;
  for (const char* role : {"system", "user", "assistant"}) pieces.emplace_back(role);  // message.role is printed
  std::string renders;
  for (const Conversation& probe : probe_conversations()) {
    for (const TextSegment& segment : coded.render_segments(probe.messages, probe.options))
      if (segment.trusted && !tiled_by(segment.text, pieces)) return str("it does not write ", quote(segment.text));
    renders += coded.render(probe.messages, probe.options) + '\0';
  }
  for (const std::string& literal : found.literals)
    if (!is_word(literal) && renders.find(literal) == std::string::npos) return str("it holds ", quote(literal));
  return {};
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
  const std::string digest = sha256_hex(text);
  for (const KnownTemplate& known : kKnownTemplates)
    if (known.sha256 == digest) return {known.family, TemplateMatch::By::kDigest, digest};

  std::string problem = "it cannot be read as a Jinja template";
  if (const std::optional<JinjaLiterals> found = jinja_literals(text)) {
    const TemplateFamily family = found->mentions("enable_thinking") ? TemplateFamily::kHybrid
                                  : found->after("add_generation_prompt").ends_with("<think>\n")
                                      ? TemplateFamily::kThinking2507
                                      : TemplateFamily::kInstruct2507;
    problem = difference(family, *found);
    if (problem.empty()) return {family, TemplateMatch::By::kFeatures, digest};
    problem = str("compared with ", template_family_name(family), ", ", problem);
  }
  throw Error(ErrorCode::kBadData,
              str(source, ": the chat template (sha256 ", digest.substr(0, 12), "…) is not a known one: ", problem,
                  "; if you know what it is, say so with --chat-template thinking-2507|hybrid|instruct"));
}

}  // namespace qwen
