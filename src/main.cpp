// Entry point: declares the commands, parses the command line, and turns every way of failing into one line on stderr
// and the exit status of base/error.h.
#include <fcntl.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <iostream>
#include <new>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "commands/commands.h"
#include "commands/usage_error.h"

namespace {

int fail(int status, std::string message) {
  for (char& c : message) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  std::fprintf(stderr, "qwen-thinking: %s\n", message.c_str());
  return status;
}

// CLI11's own statuses start at 100; ours are 0 for help and 2 for anything wrong with the flags.
int report(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() == 0) {
    app.exit(error);  // prints the help that was asked for
    return 0;
  }
  return fail(2, qwen::usage_error(app, error.what()));
}

// A closed standard descriptor would be the number of the next file or connection that is opened, and what is said to
// people would go there.
void open_standard_descriptors() {
  for (int descriptor = 0; descriptor <= 2; ++descriptor)
    if (::fcntl(descriptor, F_GETFD) < 0 && ::open("/dev/null", O_RDWR) < 0) return;
}

int run(int argc, char** argv) {
  CLI::App app("Serves dense Qwen3 models: one program, CPU only or with a GPU.", "qwen-thinking");
  app.require_subcommand(1);
  app.get_formatter()->column_width(34);
  qwen::CommandRun command;
  qwen::add_serve(app, command);
  qwen::add_chat(app, command);
  qwen::add_generate(app, command);
  qwen::add_tokenize(app, command);
  qwen::add_render(app, command);
  qwen::add_logits(app, command);
  qwen::add_quantize(app, command);
  qwen::add_inspect(app, command);
  qwen::add_bench(app, command);
  qwen::add_pull(app, command);
  qwen::add_healthcheck(app, command);
  qwen::add_completion(app, command);
  qwen::add_version(app, command);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return report(app, error);
  }
  qwen::set_log_level(qwen::LogLevel::kWarning);  // of one-shot commands; serve sets its own
  const int status = command();
  if (!std::cout.flush())
    throw qwen::Error(qwen::ErrorCode::kFailed, "standard output: cannot write; is the disk full?");
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  open_standard_descriptors();
  try {
    return run(argc, argv);
  } catch (const qwen::Error& error) {
    return fail(qwen::exit_status(error.code()), error.what());
  } catch (const std::bad_alloc&) {
    return fail(71, "out of memory; choose a smaller model, context or batch");
  } catch (const std::exception& error) {
    return fail(70, std::string("internal error: ") + error.what());
  }
}
