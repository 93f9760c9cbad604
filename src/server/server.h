// The HTTP server: ports, I/O threads, routes. Answers health questions from start() on, whether or not the model is
// loaded.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "server/generation_service.h"
#include "server/service_config.h"

namespace qwen {

class HttpServer {
 public:
  // Binds the port and, where the configuration has one, the metrics port. `service` must outlive the server. Errors:
  // kOs naming address and port; kConfig naming a certificate or key file.
  HttpServer(const ServiceConfig& config, GenerationService& service);
  ~HttpServer();  // stop(0)
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  void start();
  int port() const;          // the real one where the configuration says 0
  int metrics_port() const;  // 0 where there is none
  int open_connections() const;

  // Takes over what may change while it runs: API keys, their rates, open routes, certificate and key (which are read
  // again). What is wrong is logged and stays as it is. From the thread that starts and stops it.
  void reload(const ServiceConfig& config);

  // Closes the port (the metrics port stays to the end), lets running requests finish for at most `drain`, ends the
  // rest with an error each (GenerationService::shutdown), and joins the threads. `hurry`, where given, is looked at
  // while waiting: true ends the wait.
  void stop(std::chrono::milliseconds drain, const std::function<bool()>& hurry = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace qwen
