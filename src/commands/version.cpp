// `version`: what this binary is and which kernels it has for this machine.
#include <CLI/CLI.hpp>
#include <iostream>

#include "backend/create.h"
#include "commands/commands.h"

namespace qwen {
namespace {

constexpr const char* compiler() {
#ifdef __clang__
  return __VERSION__;  // begins with the name
#else
  return "GCC " __VERSION__;
#endif
}

}  // namespace

void add_version(CLI::App& app, CommandRun& run) {
  app.set_version_flag("--version", "qwen-thinking " QWEN_VERSION);
  CLI::App* command =
      app.add_subcommand("version", "Print the version and the kernels that this machine can run, best first");
  command->callback([&run] {
    run = [] {
      std::cout << "qwen-thinking " << QWEN_VERSION << " (" << compiler() << ")\nkernels";
      for (const std::string& name : available_kernels()) std::cout << ' ' << name;
      std::cout << '\n';
      return 0;
    };
  });
}

}  // namespace qwen
