// `healthcheck`: asks a running service whether it is ready, so that a container needs no curl. Exit 0 on HTTP 200,
// else 1 and one line.
#include <CLI/CLI.hpp>
#include <cstdlib>
#include <memory>
#include <string>

#include "base/error.h"
#include "commands/commands.h"
#include "commands/config_flags.h"
#include "commands/http_get.h"
#include "server/config/config_file.h"

namespace qwen {
namespace {

// Files that cannot be used say nothing: the service runs on what they said when it started.
ServiceConfig configured(const ConfigFlags& flags) {
  try {
    const auto files = find_config_files({}, [](const char* name) -> const char* { return std::getenv(name); });
    return flags.resolve(files).config;
  } catch (const Error&) {
    return flags.resolve();
  }
}

// The address that the service listens on; one of this machine where it listens on all.
std::string default_url(const ConfigFlags& flags) {
  const ServiceConfig config = configured(flags);
  std::string host = config.host;
  if (host == "0.0.0.0") host = "127.0.0.1";
  if (host == "::") host = "::1";
  if (host.find(':') != host.npos && host.front() != '[') host = "[" + host + "]";
  return str(config.ssl_cert_file.empty() ? "http" : "https", "://", host, ":", config.port, "/readyz");
}

}  // namespace

void add_healthcheck(CLI::App& app, CommandRun& run) {
  struct Options {
    std::string url;
    ConfigFlags flags;  // address, port and TLS, where the service's own configuration says it
    int timeout_seconds = 5;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("healthcheck", "Ask a running service whether it is ready: exit 0 or 1");
  command->add_option("--url", options->url,
                      "What to ask; default http://HOST:PORT/readyz, https where the service speaks it");
  options->flags.declare(*command, {"host", "port", "ssl-certfile"});
  command->get_option("--host")->description("The service's address, where there is no --url (127.0.0.1) [HOST]");
  command->get_option("--port")->description("The service's port, where there is no --url (8000) [PORT]");
  command->get_option("--ssl-certfile")
      ->description("Any file name: the service speaks HTTPS; whose certificate it is is not checked [SSL_CERTFILE]");
  command->add_option("--timeout", options->timeout_seconds, "Seconds to wait")
      ->capture_default_str()
      ->check(CLI::Range(1, 600).description(""));
  command->callback([options, &run] {
    run = [options] {
      const std::string url = options->url.empty() ? default_url(options->flags) : options->url;
      const HttpAnswer answer = http_get(url, options->timeout_seconds);
      if (answer.status == 200) return 0;
      throw Error(ErrorCode::kFailed,
                  str(url, ": answered HTTP ", answer.status,
                      answer.message.empty() ? ", so the service is not ready" : ": " + answer.message));
    };
  });
}

}  // namespace qwen
