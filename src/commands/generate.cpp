// `generate`: one prompt, one answer on standard output, as POST /generate would give it.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "commands/commands.h"
#include "commands/config_flags.h"
#include "commands/demo_model.h"
#include "commands/load_service.h"
#include "commands/sampling_flags.h"
#include "commands/standard_input.h"
#include "commands/terminal.h"
#include "server/api/native_types.h"
#include "server/generation_service.h"

namespace qwen {
namespace {

struct Options {
  ConfigFlags flags;
  SamplingFlags sampling;
  std::optional<std::string> prompt, system;
  bool thinking = false, raw = false, json = false;
};

TextRequest to_request(const Options& options, const std::string& prompt, const ServiceConfig& config,
                       const LoadedModel& model) {
  TextRequest request;
  if (options.raw) {
    request.raw_prompt = prompt;
  } else {
    if (options.system) request.messages.push_back({.role = "system", .content = *options.system});
    request.messages.push_back({.role = "user", .content = prompt});
    request.template_options.thinking = options.thinking;
    request.template_options.enable_thinking = options.thinking;
  }
  SamplingParams defaults = model.default_sampling;
  defaults.temperature = config.default_temperature;
  defaults.top_p = config.default_top_p;
  request.sampling = apply_sampling(options.sampling.fields, defaults);
  request.stop = options.sampling.fields.stop;
  request.max_tokens = options.sampling.max_length;
  request.default_max_tokens = config.default_max_length;
  return request;
}

int run_generate(const Options& options) {
  ServiceConfig config = options.flags.resolve();
  const std::string prompt = options.prompt ? *options.prompt : read_standard_input();
  if (prompt.empty()) throw Error(ErrorCode::kUsage, "--prompt: must not be empty", "--prompt");
  config.model_path = model_or_demo(config.model_path, config.demo);
  config.max_num_seqs = 1;
  GenerationService service;
  load_and_wait(service, config);
  const auto model = service.ready_model();
  const auto stream = service.start(to_request(options, prompt, config, *model));
  if (options.json) {
    while (!stream->finished()) stream->next(std::chrono::milliseconds(1000));
    if (stream->completion().finish_reason == FinishReason::kError)
      throw Error(ErrorCode::kFailed, stream->completion().error);
    std::cout << generate_answer_json(prompt, stream->completion(), model->info) << '\n';
    return 0;
  }
  TerminalWriter writer;
  print_stream(*stream, writer);
  writer.end();
  return 0;
}

}  // namespace

void add_generate(CLI::App& app, CommandRun& run) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("generate", "One generation to standard output");
  command->add_option("-p,--prompt", options->prompt, "The prompt; default: standard input");
  command->add_option("--system", options->system, "A system message before it");
  command->add_flag("--thinking", options->thinking,
                    "Let the model think first; the thought is shown dim on a terminal");
  command->add_flag("--raw", options->raw, "The prompt as it stands, without the chat template");
  command->add_flag("--json", options->json, "The answer object of POST /generate");
  command->get_option("--raw")->excludes("--system")->excludes("--thinking");
  options->sampling.declare(*command, "default: those of /generate: 512 tokens, 0.7, 0.9, the model's top_k");
  options->flags.declare(*command, {"model", "quantization", "head-format", "cache-dir", "weights", "chat-template",
                                    "demo", "device", "kernels", "threads", "max-model-len", "kv-cache",
                                    "kv-cache-dtype", "default-max-length", "default-temperature", "default-top-p"});
  // Their variables count here too; the flags would only double those of sampling.
  for (const char* name : {"--default-max-length", "--default-temperature", "--default-top-p"})
    command->get_option(name)->group("");
  command->callback([options, &run] { run = [options] { return run_generate(*options); }; });
}

}  // namespace qwen
