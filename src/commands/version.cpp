// `version`: what this binary is.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "commands/commands.h"

namespace qwen {

void add_version(CLI::App& app, CommandRun& run) {
  CLI::App* command = app.add_subcommand("version", "Print the version");
  command->callback([&run] {
    run = [] {
      std::printf("qwen-thinking %s (%s)\n", QWEN_VERSION, __VERSION__);
      return 0;
    };
  });
}

}  // namespace qwen
