// What every handler works with, and how it leaves the I/O thread.
#pragma once

#include <functional>

#include "server/generation_service.h"
#include "server/http/routes.h"
#include "server/service_config.h"
#include "server/worker_pool.h"
#include "text/json_value.h"

namespace qwen {

class RunningRequests;
class ServiceMonitor;
class WorkerBoard;
class WorkerMessenger;

struct HandlerContext {  // outlives the server's threads
  const ServiceConfig& config;
  GenerationService& service;
  WorkerPool& workers;
  ServiceMonitor* monitor = nullptr;       // null: no /metrics and no /stats
  const WorkerBoard* processes = nullptr;  // of a service of several
  RunningRequests* running = nullptr;      // null: nothing can be controlled
  WorkerMessenger* messenger = nullptr;    // a worker's, to ask the others
};

// Runs `work` on a worker thread; what it throws becomes the answer. Not run at all if the client is gone by then, or
// the server stops before: that is answered kDraining. Where the configuration's time for a request is over by then,
// the answer is kDeadlineExceeded. Errors: kOverloaded.
void run_on_worker(const HandlerContext& context, Request request, ResponderPtr responder,
                   std::function<void(Request&, const ResponderPtr&)> work);

// A handler whose whole answer is a function of the body and the model. Errors: those of parse_request and `answer`.
using BodyAnswer = std::string (*)(const JsonValue& body, const LoadedModel& model);
Handler answer_on_worker(const HandlerContext& context, BodyAnswer answer);

}  // namespace qwen
