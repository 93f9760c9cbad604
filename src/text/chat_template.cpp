#include "text/chat_template.h"

#include "base/error.h"
#include "base/mapped_file.h"
#include "base/quote.h"
#include "text/tokenizer_config.h"

namespace qwen {
namespace {

constexpr size_t kMaxTemplateFileBytes = size_t{16} << 20;

constexpr std::string_view kToolsIntro =
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>";
constexpr std::string_view kToolsOutro =
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments within "
    "<tool_call></tool_call> XML tags:\n<tool_call>\n"
    "{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call><|im_end|>\n";

std::string_view strip_front(std::string_view text) {
  const size_t first = text.find_first_not_of('\n');
  return first == std::string_view::npos ? std::string_view() : text.substr(first);
}

std::string_view strip_back(std::string_view text) { return text.substr(0, text.find_last_not_of('\n') + 1); }

// Collects segments; neighbours of the same trust become one.
class Prompt {
 public:
  void scaffold(std::string_view text) { add(text, true); }
  void caller(std::string_view text) { add(text, false); }
  std::vector<TextSegment> take() { return std::move(segments_); }

 private:
  void add(std::string_view text, bool trusted) {
    if (text.empty()) return;
    if (segments_.empty() || segments_.back().trusted != trusted) segments_.push_back({{}, trusted});
    segments_.back().text += text;
  }

  std::vector<TextSegment> segments_;
};

// An assistant's text as the template takes it apart.
struct Answer {
  std::string_view reasoning;
  std::string_view content;
};

Answer split_answer(TemplateFamily family, const Message& message) {
  const std::string_view content = message.content ? std::string_view(*message.content) : std::string_view();
  if (family == TemplateFamily::kInstruct2507) return {{}, content};
  if (message.reasoning_content) return {*message.reasoning_content, content};
  constexpr std::string_view kClose = "</think>", kOpen = "<think>";
  const size_t first = content.find(kClose);
  if (first == std::string_view::npos) return {{}, content};
  std::string_view reasoning = strip_back(content.substr(0, first));
  if (const size_t open = reasoning.rfind(kOpen); open != std::string_view::npos)
    reasoning.remove_prefix(open + kOpen.size());
  return {strip_front(reasoning), strip_front(content.substr(content.rfind(kClose) + kClose.size()))};
}

void system_turn(const Message& first, const std::vector<std::string>& tools, Prompt& out) {
  const bool system = first.role == "system";
  if (system && !first.content)
    throw Error(ErrorCode::kInvalidValue, "the content of the first system message must be a string",
                "messages[0].content");
  if (!system && tools.empty()) return;
  out.scaffold("<|im_start|>system\n");
  if (system) out.caller(*first.content);
  if (tools.empty()) {
    out.scaffold("<|im_end|>\n");
    return;
  }
  if (system) out.scaffold("\n\n");
  out.scaffold(kToolsIntro);
  for (const std::string& tool : tools) {
    out.scaffold("\n");
    out.caller(tool);
  }
  out.scaffold(kToolsOutro);
}

// The last message that is a question of the user, not a tool's answer in disguise. Thoughts before it are dropped.
size_t last_query_index(std::span<const Message> messages) {
  for (size_t i = messages.size(); i-- > 0;) {
    const Message& message = messages[i];
    if (message.role != "user" || !message.content) continue;
    if (!message.content->starts_with("<tool_response>") || !message.content->ends_with("</tool_response>")) return i;
  }
  return messages.size() - 1;
}

// `with_thought`: this template writes thoughts, and the message belongs to the current turn.
void assistant_turn(const Message& message, const Answer& answer, bool with_thought, bool last, Prompt& out) {
  out.scaffold("<|im_start|>assistant\n");
  if (with_thought && (last || !answer.reasoning.empty())) {
    out.scaffold("<think>\n");
    out.caller(strip_back(strip_front(answer.reasoning)));
    out.scaffold("\n</think>\n\n");
    out.caller(strip_front(answer.content));
  } else {
    out.caller(answer.content);
  }
  bool separate = !answer.content.empty();
  for (const ToolCall& call : message.tool_calls) {
    if (separate) out.scaffold("\n");
    separate = true;
    out.scaffold("<tool_call>\n{\"name\": \"");
    out.caller(call.name);
    out.scaffold("\", \"arguments\": ");
    out.caller(call.arguments_json);
    out.scaffold("}\n</tool_call>");
  }
}

void check_continuable(const Message& last) {
  if ((last.role != "user" && last.role != "assistant") || !last.content || !last.tool_calls.empty())
    throw Error(ErrorCode::kInvalidValue,
                "continue_final_message needs a last message of the user or the assistant with a string content and no "
                "tool calls",
                "continue_final_message");
}

void generation_prompt(TemplateFamily family, const TemplateOptions& options, Prompt& out) {
  out.scaffold("<|im_start|>assistant\n");
  if (family == TemplateFamily::kInstruct2507 || family == TemplateFamily::kInstruct2507First) return;
  const bool closed = !options.thinking || (family == TemplateFamily::kHybrid && options.enable_thinking == false);
  if (closed)
    out.scaffold("<think>\n\n</think>\n\n");
  else if (family == TemplateFamily::kThinking2507)
    out.scaffold("<think>\n");
}

std::string missing_template(const std::filesystem::path& dir) {
  return str(
      dir.string(),
      " has no chat template (chat_template.jinja, or \"chat_template\" in tokenizer_config.json): add it, or say "
      "which it is with --chat-template thinking-2507|hybrid|instruct");
}

// The template text and the file it came from. Newer exporters write a list of named templates: "default" is the one
// for chats.
std::pair<std::string, std::string> read_template(const std::filesystem::path& dir) {
  const std::filesystem::path jinja = dir / "chat_template.jinja", config = dir / "tokenizer_config.json";
  std::error_code ignored;
  if (std::filesystem::exists(jinja, ignored)) return {read_text_file(jinja, kMaxTemplateFileBytes), jinja.string()};
  if (!std::filesystem::exists(config, ignored)) throw Error(ErrorCode::kBadData, missing_template(dir));
  const JsonValue json = parse_tokenizer_config(read_text_file(config, kMaxTokenizerConfigBytes), config.string());
  const JsonValue* text = json.find("chat_template");
  if (text != nullptr && text->is_array()) {
    const JsonValue* chosen = nullptr;
    for (const JsonValue& entry : text->items) {
      const JsonValue* name = entry.find("name");
      if (name != nullptr && name->text == "default") chosen = entry.find("template");
    }
    text = chosen;
  }
  if (text == nullptr || !text->is_string()) throw Error(ErrorCode::kBadData, missing_template(dir));
  return {text->text, config.string()};
}

}  // namespace

ChatTemplate ChatTemplate::detect(const std::filesystem::path& model_dir, std::string_view family) {
  if (!family.empty()) {
    const std::optional<TemplateFamily> chosen = template_family_from_name(family);
    if (!chosen)
      throw Error(ErrorCode::kUsage,
                  str("--chat-template ", quote(family), ": unknown, the choices are thinking-2507, hybrid, instruct"),
                  "--chat-template");
    return ChatTemplate(*chosen);
  }
  const auto [text, source] = read_template(model_dir);
  return ChatTemplate(match_template(text, source));
}

std::vector<TextSegment> ChatTemplate::render_segments(std::span<const Message> messages,
                                                       const TemplateOptions& options) const {
  if (messages.empty()) throw Error(ErrorCode::kInvalidValue, "messages must not be empty", "messages");
  if (options.continue_final_message) check_continuable(messages.back());

  Prompt out;
  system_turn(messages.front(), options.tools, out);
  const size_t last_query = last_query_index(messages);
  for (size_t i = 0; i < messages.size(); ++i) {
    const Message& message = messages[i];
    const bool last = i + 1 == messages.size();
    const std::string_view end = last && options.continue_final_message ? std::string_view() : "<|im_end|>\n";
    if (message.role == "user" || (message.role == "system" && i > 0)) {
      out.scaffold("<|im_start|>" + message.role + "\n");
      out.caller(message.content.value_or(""));
      out.scaffold(end);
    } else if (message.role == "assistant") {
      const bool with_thought = match_.family != TemplateFamily::kInstruct2507 && i > last_query;
      assistant_turn(message, split_answer(match_.family, message), with_thought, last, out);
      out.scaffold(end);
    } else if (message.role == "tool") {
      if (i == 0 || messages[i - 1].role != "tool") out.scaffold("<|im_start|>user");
      out.scaffold("\n<tool_response>\n");
      out.caller(message.content.value_or(""));
      out.scaffold("\n</tool_response>");
      if (last || messages[i + 1].role != "tool") out.scaffold(end);
    }
  }
  if (options.add_generation_prompt && !options.continue_final_message) generation_prompt(match_.family, options, out);
  return out.take();
}

std::string ChatTemplate::render(std::span<const Message> messages, const TemplateOptions& options) const {
  std::string text;
  for (const TextSegment& segment : render_segments(messages, options)) text += segment.text;
  return text;
}

bool starts_in_thought(std::string_view prompt) { return prompt.ends_with("<think>\n"); }

}  // namespace qwen
