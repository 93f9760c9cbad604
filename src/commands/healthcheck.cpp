// `healthcheck`: asks a running service whether it is ready, so that a container needs no curl. Exit 0 on HTTP 200,
// else 1 and one line.
#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "base/error.h"
#include "commands/commands.h"
#include "commands/http_get.h"

namespace qwen {

void add_healthcheck(CLI::App& app, CommandRun& run) {
  struct Options {
    std::string url;
    std::string port = "8000";
    int timeout_seconds = 5;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("healthcheck", "Ask a running service whether it is ready: exit 0 or 1");
  command->add_option("--url", options->url, "What to ask; default http://127.0.0.1:PORT/readyz");
  command->add_option("--port", options->port, "Port on this machine, without --url")
      ->envname("PORT")
      ->capture_default_str();
  command->add_option("--timeout", options->timeout_seconds, "Seconds to wait")
      ->capture_default_str()
      ->check(CLI::Range(1, 600).description(""));
  command->callback([options, &run] {
    run = [options] {
      const std::string url = options->url.empty() ? "http://127.0.0.1:" + options->port + "/readyz" : options->url;
      const int status = http_get_status(url, options->timeout_seconds);
      if (status == 200) return 0;
      throw Error(ErrorCode::kFailed, str(url, ": answered HTTP ", status, ", so the service is not ready"));
    };
  });
}

}  // namespace qwen
