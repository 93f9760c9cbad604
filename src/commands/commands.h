// The sub-commands of `qwen-thinking`, one file each. add_<name> declares the command and its flags on `app`; when the
// command line names it, `run` becomes what it does. A command returns its exit status or throws Error; main turns both
// into the codes of base/error.h.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace qwen {

using CommandRun = std::function<int()>;

void add_serve(CLI::App& app, CommandRun& run);
void add_chat(CLI::App& app, CommandRun& run);
void add_generate(CLI::App& app, CommandRun& run);
void add_tokenize(CLI::App& app, CommandRun& run);
void add_render(CLI::App& app, CommandRun& run);
void add_logits(CLI::App& app, CommandRun& run);
void add_quantize(CLI::App& app, CommandRun& run);
void add_inspect(CLI::App& app, CommandRun& run);
void add_bench(CLI::App& app, CommandRun& run);
void add_pull(CLI::App& app, CommandRun& run);
void add_healthcheck(CLI::App& app, CommandRun& run);
void add_completion(CLI::App& app, CommandRun& run);
void add_version(CLI::App& app, CommandRun& run);

}  // namespace qwen
