// `render`: a JSON conversation → the prompt that the model sees. Needs the chat template only.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <string>

#include "base/error.h"
#include "commands/commands.h"
#include "commands/config_flags.h"
#include "commands/jsonl.h"
#include "commands/standard_input.h"
#include "text/chat_template.h"
#include "text/conversation.h"
#include "text/json_value.h"

namespace qwen {
namespace {

// The object of parse_conversation, or a bare list of messages.
std::string render(const ChatTemplate& chat_template, std::string_view json) {
  JsonValue value = parse_json(json);
  if (value.is_array()) {
    JsonValue object;
    object.kind = JsonValue::Kind::kObject;
    object.members.push_back({"messages", std::move(value)});
    value = std::move(object);
  }
  const Conversation conversation = parse_conversation(value);
  return chat_template.render(conversation.messages, conversation.options);
}

}  // namespace

void add_render(CLI::App& app, CommandRun& run) {
  struct Options {
    ConfigFlags flags;
    bool jsonl = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("render", "A JSON conversation on standard input to the prompt the model sees");
  options->flags.declare(*command, {"model", "chat-template"});
  command->add_flag("--jsonl", options->jsonl,
                    "One {\"messages\":…,\"tools\":…,\"add_generation_prompt\":…,\"chat_template_kwargs\":…} a line "
                    "gives {\"text\":…}");
  command->callback([options, &run] {
    run = [options] {
      const ServiceConfig config = options->flags.resolve();
      const ChatTemplate chat_template = ChatTemplate::detect(config.model_path, config.chat_template);
      if (options->jsonl) {
        return run_jsonl(std::cin, std::cout,
                         [&](const std::string& line) { return text_json(render(chat_template, line)); });
      }
      try {
        std::cout << render(chat_template, read_standard_input());
      } catch (const Error& error) {
        if (error.code() != ErrorCode::kInvalidValue) throw;
        throw Error(error.code(),
                    str("standard input: ", error.what(),
                        "; give messages such as [{\"role\":\"user\",\"content\":\"Hello\"}]"),
                    error.param());
      }
      return 0;
    };
  });
}

}  // namespace qwen
