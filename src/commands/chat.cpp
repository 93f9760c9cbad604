// `chat`: a conversation in the terminal. The answer streams, the thought is shown dim; Ctrl-C stops an answer, not the
// program. Also works with piped input: one line, one message.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "commands/commands.h"
#include "commands/config_flags.h"
#include "commands/demo_model.h"
#include "commands/interrupts.h"
#include "commands/line_reader.h"
#include "commands/load_service.h"
#include "commands/sampling_flags.h"
#include "commands/terminal.h"
#include "server/generation_service.h"

namespace qwen {
namespace {

constexpr char kHelp[] =
    "/reset  forget the conversation\n"
    "/help   this list\n"
    "/exit   leave (also Ctrl-D)\n"
    "Ctrl-C  stop the answer\n";

struct Options {
  ConfigFlags flags;
  SamplingFlags sampling;
  std::optional<std::string> system;
  bool no_thinking = false;
};

class Conversation {
 public:
  Conversation(const Options& options, GenerationService& service, const Interrupts& interrupts)
      : options_(options), service_(service), interrupts_(interrupts) {
    reset();
  }

  void reset() {
    messages_.clear();
    if (options_.system) messages_.push_back({.role = "system", .content = *options_.system});
  }

  // A request that fails or is stopped within its thought leaves no trace in the history.
  void say(const std::string& text) {
    const size_t before = messages_.size();
    messages_.push_back({.role = "user", .content = text});
    try {
      if (!answer()) messages_.resize(before);
    } catch (const Error& error) {
      messages_.resize(before);
      std::cerr << "qwen-thinking: " << error.what() << '\n';
    }
  }

 private:
  bool answer() {
    TextRequest request;
    request.messages = messages_;
    request.template_options.thinking = !options_.no_thinking;
    request.template_options.enable_thinking = !options_.no_thinking;
    request.sampling = apply_sampling(options_.sampling.fields, service_.ready_model()->default_sampling);
    request.stop = options_.sampling.fields.stop;
    request.max_tokens = options_.sampling.max_length;
    const auto stream = service_.start(std::move(request));
    TerminalWriter writer;
    const bool finished = print_stream(*stream, writer, [this] { return interrupts_.take(); });
    writer.end();
    const Completion& completion = stream->completion();
    if (!finished) std::cerr << "(stopped)\n";
    if (finished ? !completion.answered : completion.text.empty()) return false;
    messages_.push_back({.role = "assistant", .content = completion.text, .reasoning_content = completion.reasoning});
    return true;
  }

  const Options& options_;
  GenerationService& service_;
  const Interrupts& interrupts_;
  std::vector<Message> messages_;
};

// False: leave.
bool obey(const std::string& line, Conversation& conversation) {
  if (line == "/exit" || line == "/quit") return false;
  if (line == "/reset") {
    conversation.reset();
  } else if (line == "/help") {
    std::cerr << kHelp;
  } else {
    std::cerr << "there is no command " << line << "; /help lists them\n";
  }
  return true;
}

int converse(Conversation& conversation, const Interrupts& interrupts, bool interactive) {
  LineReader reader(STDIN_FILENO, interrupts.descriptor());
  std::string line;
  bool asked_to_leave = false;  // Ctrl-C at the prompt, twice in a row
  while (true) {
    if (interactive) std::cerr << "> " << std::flush;
    const LineReader::Result result = reader.next(line);
    if (result == LineReader::Result::kEnd) return 0;
    if (result == LineReader::Result::kInterrupted) {
      interrupts.take();
      if (asked_to_leave || !interactive) return 130;
      asked_to_leave = true;
      std::cerr << "\n(Ctrl-C again, Ctrl-D or /exit to leave)\n";
      continue;
    }
    asked_to_leave = false;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    if (line[0] == '/') {
      if (!obey(line, conversation)) return 0;
      continue;
    }
    conversation.say(line);
  }
}

int run_chat(const Options& options) {
  ServiceConfig config = options.flags.resolve();
  config.model_path = model_or_demo(config.model_path, config.demo);
  config.max_num_seqs = 1;
  GenerationService service;
  load_and_wait(service, config);

  const Interrupts interrupts;  // from here on: before, Ctrl-C ends a load
  const bool interactive = ::isatty(STDIN_FILENO) != 0;
  if (interactive) {
    const ModelInfo& info = service.ready_model()->info;
    std::cerr << info.name << (info.demo ? " (a demonstration model: a little arithmetic and cryptography)" : "")
              << "; /help lists commands\n";
  }
  Conversation conversation(options, service, interrupts);
  return converse(conversation, interrupts, interactive);
}

}  // namespace

void add_chat(CLI::App& app, CommandRun& run) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("chat", "A conversation in the terminal");
  command->add_option("--system", options->system, "A system message before the conversation");
  command->add_flag("--no-thinking", options->no_thinking, "Answer at once");
  options->sampling.declare(*command, "default: the model's generation_config.json");
  options->flags.declare(
      *command, {"model", "quantization", "head-format", "cache-dir", "weights", "chat-template", "demo", "device",
                 "kernels", "threads", "max-model-len", "kv-cache", "kv-cache-dtype"});
  command->callback([options, &run] { run = [options] { return run_chat(*options); }; });
}

}  // namespace qwen
