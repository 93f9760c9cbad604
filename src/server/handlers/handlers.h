// The handlers, each in the file of its route's name (chat_completions.cpp, models.cpp, …; the three health questions
// in health.cpp, the page's files in page.cpp), and the table that joins them to paths.
#pragma once

#include "server/handlers/handler_context.h"
#include "server/http/routes.h"

namespace qwen {

Handler generate_handler(const HandlerContext& context);          // POST /generate
Handler thinking_handler(const HandlerContext& context);          // POST /thinking
Handler batch_generate_handler(const HandlerContext& context);    // POST /batch_generate
Handler tokenize_handler(const HandlerContext& context);          // POST /tokenize
Handler detokenize_handler(const HandlerContext& context);        // POST /detokenize
Handler apply_template_handler(const HandlerContext& context);    // POST /apply-template
Handler completions_handler(const HandlerContext& context);       // POST /v1/completions
Handler chat_completions_handler(const HandlerContext& context);  // POST /v1/chat/completions
Handler list_models_handler(const HandlerContext& context);       // GET /v1/models
Handler get_model_handler(const HandlerContext& context);         // GET /v1/models/{id}
Handler model_info_handler(const HandlerContext& context);        // GET /model_info
Handler health_handler(const HandlerContext& context);            // GET /health: ready, in the guide's words
Handler live_handler(const HandlerContext& context);              // GET /livez: the process makes progress
Handler ready_handler(const HandlerContext& context);             // GET /readyz: send traffic
Handler request_state_handler(const HandlerContext& context);     // GET /requests/{id}
Handler cancel_request_handler(const HandlerContext& context);    // POST /requests/{id}/cancel
Handler finish_thinking_handler(const HandlerContext& context);   // POST /requests/{id}/finish_thinking
Handler page_handler();                                           // GET /: the page for people
Handler page_asset_handler();                                     // GET /assets/*
Handler page_icon_handler();                                      // GET /favicon.ico
Handler docs_handler();                                           // GET /docs: the API for people
Handler stats_handler(ServiceMonitor& monitor);                   // GET /stats, in the guide's words
Handler metrics_handler(ServiceMonitor& monitor);                 // GET /metrics, for Prometheus

// GET /openapi.json: what `routes` has.
Handler openapi_handler(const RouteTable& routes, const ServiceConfig& config);

// The whole API. `context` must outlive the table.
RouteTable make_routes(const HandlerContext& context);
// What the metrics port serves: /metrics and the probes. `context` has a monitor.
RouteTable make_monitoring_routes(const HandlerContext& context);

}  // namespace qwen
