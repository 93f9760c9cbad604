// The HTTP server: ports, I/O threads, routes. Answers health questions from start() on, whether or not the model is
// loaded. Of several processes of a service each has one: the workers answer on the port that their supervisor opened,
// once they are ready, and the supervisor as long as no worker does; the metrics port is the supervisor's.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "server/generation_service.h"
#include "server/service_config.h"
#include "server/workers/worker_board.h"

namespace qwen {

class ServiceLog;

class HttpServer {
 public:
  // Binds the port and, where the configuration has one, the metrics port. `service` and `log`, of which the metrics
  // tell where there is one, must outlive the server. `seat`: this process's part in a service of several; null: it is
  // alone. Errors: kOs naming address and port; kConfig naming a certificate or key file.
  HttpServer(const ServiceConfig& config, GenerationService& service, const ServiceLog* log = nullptr,
             std::shared_ptr<const WorkerSeat> seat = {});
  ~HttpServer();  // stop(0)
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Errors: kOs. The port is opened at once where it may be (ServiceConfig::listen_while_loading), else by open_port().
  void start();
  void open_port();  // takes connections from here on; does nothing where it does already. Errors: kOs
  int port() const;  // the real one where the configuration says 0
  int listening_socket() const;
  int metrics_port() const;  // 0 where there is none
  int open_connections() const;

  // Takes over what may change while it runs: API keys, their rates, open routes, certificate and key (which are read
  // again, but for a worker's: ServiceConfig::ssl_pair). What is wrong is logged and stays as it is. From the thread
  // that starts and stops it.
  void reload(const ServiceConfig& config);
  std::optional<TlsPair> certificate() const;  // in use; nothing: plain HTTP
  uint64_t certificate_version() const;        // goes up whenever another one is in use
  ServiceFigures figures();                    // of the whole service; any thread, also after stop()

  // Says that it is not ready any more, answers everything as before for `grace`, and closes the port: who has
  // connected until then is answered. The metrics port stays to the end. `hurry`, where given, is looked at while
  // waiting, here and below: true ends the wait.
  void close_port(std::chrono::milliseconds grace, const std::function<bool()>& hurry = {});
  // close_port() without grace, where that has not been; lets running requests finish for at most `drain`, ends the
  // rest with an error each (GenerationService::shutdown), which is sent also where somebody hurries, and joins the
  // threads.
  void stop(std::chrono::milliseconds drain, const std::function<bool()>& hurry = {});

  // The supervisor's.
  void on_worker_restart();  // a worker was started again
  void drop_idle();          // somebody else takes the connections now: who has sent no request on his is sent to them

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace qwen
