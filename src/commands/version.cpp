// `version`: what this binary is and which kernels it has for this machine.
#include <CLI/CLI.hpp>
#include <iostream>

#include "backend/create.h"
#include "commands/commands.h"

namespace qwen {

void add_version(CLI::App& app, CommandRun& run) {
  CLI::App* command =
      app.add_subcommand("version", "Print the version and the kernels that this machine can run, best first");
  command->callback([&run] {
    run = [] {
      std::cout << "qwen-thinking " << QWEN_VERSION << " (" << __VERSION__ << ")\nkernels";
      for (const std::string& name : available_kernels()) std::cout << ' ' << name;
      std::cout << '\n';
      return 0;
    };
  });
}

}  // namespace qwen
