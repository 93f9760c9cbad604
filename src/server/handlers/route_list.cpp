#include "server/handlers/handlers.h"

namespace qwen {
namespace {

void add_probes(RouteTable& routes, const HandlerContext& context) {
  routes.add({"GET", "/health", Access::kOpen, health_handler(context), 0, Traffic::kProbe});
  routes.add({"GET", "/livez", Access::kOpen, live_handler(context), 0, Traffic::kProbe});
  routes.add({"GET", "/readyz", Access::kOpen, ready_handler(context), 0, Traffic::kProbe});
  if (context.monitor && context.config.enable_metrics)
    routes.add({"GET", "/metrics", Access::kMetrics, metrics_handler(*context.monitor), 0, Traffic::kProbe});
}

}  // namespace

RouteTable make_routes(const HandlerContext& context) {
  const size_t body = context.config.http.max_body_bytes;
  RouteTable routes;
  routes.add({"POST", "/generate", Access::kUser, generate_handler(context), body});
  routes.add({"POST", "/thinking", Access::kUser, thinking_handler(context), body});
  routes.add({"POST", "/batch_generate", Access::kUser, batch_generate_handler(context), body});
  routes.add({"POST", "/tokenize", Access::kUser, tokenize_handler(context), body});
  routes.add({"POST", "/detokenize", Access::kUser, detokenize_handler(context), body});
  routes.add({"POST", "/apply-template", Access::kUser, apply_template_handler(context), body});
  routes.add({"POST", "/v1/completions", Access::kUser, completions_handler(context), body});
  routes.add({"POST", "/v1/chat/completions", Access::kUser, chat_completions_handler(context), body});
  routes.add({"GET", "/v1/models", Access::kUser, list_models_handler(context)});
  routes.add({"GET", "/v1/models/*", Access::kUser, get_model_handler(context)});
  routes.add({"GET", "/model_info", Access::kUser, model_info_handler(context)});
  if (context.running) {
    routes.add({"GET", "/requests/*", Access::kControl, request_state_handler(context), 0, Traffic::kPage});
    routes.add({"POST", "/requests/*/cancel", Access::kControl, cancel_request_handler(context), 0, Traffic::kPage});
    routes.add(
        {"POST", "/requests/*/finish_thinking", Access::kControl, finish_thinking_handler(context), 0, Traffic::kPage});
  }
  if (context.monitor)
    routes.add({"GET", "/stats", Access::kMetrics, stats_handler(*context.monitor), 0, Traffic::kPage});
  add_probes(routes, context);
  routes.add({"GET", "/", Access::kPage, page_handler(), 0, Traffic::kPage});
  routes.add({"GET", "/assets/*", Access::kPage, page_asset_handler(), 0, Traffic::kPage});
  routes.add({"GET", "/favicon.ico", Access::kPage, page_icon_handler(), 0, Traffic::kPage});
  routes.add({"GET", "/docs", Access::kPage, docs_handler(), 0, Traffic::kPage});
  routes.add(
      {"GET", "/openapi.json", Access::kPage, openapi_handler(routes, context.config), 0, Traffic::kPage});  // the last
  return routes;
}

RouteTable make_monitoring_routes(const HandlerContext& context) {
  RouteTable routes;
  add_probes(routes, context);
  return routes;
}

}  // namespace qwen
