#include "commands/model_options.h"

#include <CLI/CLI.hpp>

namespace qwen {

void add_model_flag(CLI::App& command, std::string& model) {
  command.add_option("-m,--model", model, "Model folder: config.json, tokenizer.json, weights")
      ->envname("MODEL_PATH")
      ->required();
}

void add_template_flag(CLI::App& command, std::string& family) {
  command
      .add_option("--chat-template", family, "thinking-2507, hybrid or instruct; default: recognised from the folder")
      ->envname("CHAT_TEMPLATE")
      ->check(CLI::IsMember({"thinking-2507", "hybrid", "instruct"}));
}

void add_backend_flags(CLI::App& command, BackendOptions& options) {
  command.add_option("--device", options.device, "cpu, or cuda:N where built with CUDA")
      ->envname("DEVICE")
      ->capture_default_str();
  command.add_option("--kernels", options.kernels, "auto, or one of those that the version command lists")
      ->envname("KERNELS")
      ->capture_default_str();
  command.add_option("--threads", options.threads, "Compute threads; 0 = the physical cores this process may use")
      ->envname("THREADS")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
}

}  // namespace qwen
