// `tokenize`: text → ids and, with --ids, ids → text. Needs the tokenizer files only.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "commands/commands.h"
#include "commands/config_flags.h"
#include "commands/json_line.h"
#include "commands/jsonl.h"
#include "commands/standard_input.h"
#include "text/tokenizer.h"

namespace qwen {
namespace {

struct Options {
  ConfigFlags flags;
  std::optional<std::string> input;
  bool ids = false, jsonl = false, as_text = false, skip_special = false;
};

// {"text":…,"added_tokens":true} → {"ids":[…]}, {"ids":[…],"skip_special_tokens":false} → {"text":…}
std::string answer_line(const Tokenizer& tokenizer, const Options& options, const std::string& line) {
  const JsonValue object = parse_object(line);
  const JsonValue* text = object.find("text");
  const JsonValue* ids = object.find("ids");
  if ((text == nullptr) == (ids == nullptr)) throw Error(ErrorCode::kInvalidValue, "give either \"text\" or \"ids\"");
  if (ids != nullptr)
    return text_json(
        tokenizer.decode(ids_member(*ids), bool_member(object, "skip_special_tokens", options.skip_special)));
  if (!text->is_string()) throw Error(ErrorCode::kInvalidValue, "\"text\" must be a string", "text");
  const bool recognise = bool_member(object, "added_tokens", !options.as_text);
  return ids_json(tokenizer.encode(text->text, recognise ? AddedTokens::kRecognise : AddedTokens::kAsText));
}

int run_tokenize(const Options& options) {
  const Tokenizer tokenizer = Tokenizer::load(options.flags.resolve().model_path);
  if (options.jsonl) {
    return run_jsonl(std::cin, std::cout,
                     [&](const std::string& line) { return answer_line(tokenizer, options, line); });
  }
  const std::string input = options.input ? *options.input : read_standard_input();
  if (options.ids) {
    std::cout << tokenizer.decode(parse_ids(input, "--ids"), options.skip_special) << '\n';
    return 0;
  }
  const std::vector<TokenId> ids =
      tokenizer.encode(input, options.as_text ? AddedTokens::kAsText : AddedTokens::kRecognise);
  for (size_t i = 0; i < ids.size(); ++i) std::cout << (i > 0 ? "," : "") << ids[i];
  std::cout << '\n';
  return 0;
}

}  // namespace

void add_tokenize(CLI::App& app, CommandRun& run) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("tokenize", "Text to token ids, or back with --ids");
  options->flags.declare(*command, {"model"});
  command->add_option("input", options->input, "Text (or ids); default: standard input");
  command->add_flag("--ids", options->ids, "The input is ids such as 1,2,3; print their text");
  command->add_flag("--no-added-tokens", options->as_text, "Read <|im_end|>, <think> and the like as ordinary text");
  command->add_flag("--skip-special", options->skip_special, "Leave special tokens out of the text");
  command->add_flag(
      "--jsonl", options->jsonl,
      "One object a line: {\"text\":…} gives {\"ids\":[…]}, {\"ids\":[…]} gives {\"text\":…}; also \"added_tokens\", "
      "\"skip_special_tokens\"");
  command->callback([options, &run] { run = [options] { return run_tokenize(*options); }; });
}

}  // namespace qwen
