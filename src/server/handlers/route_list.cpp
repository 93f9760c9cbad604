#include "server/handlers/handlers.h"

namespace qwen {

RouteTable make_routes(const HandlerContext& context) {
  const size_t body = context.config.http.max_body_bytes;
  RouteTable routes;
  routes.add({"POST", "/generate", Access::kUser, generate_handler(context), body});
  routes.add({"POST", "/v1/chat/completions", Access::kUser, chat_completions_handler(context), body});
  routes.add({"GET", "/v1/models", Access::kUser, list_models_handler(context)});
  routes.add({"GET", "/v1/models/*", Access::kUser, get_model_handler(context)});
  routes.add({"GET", "/model_info", Access::kUser, model_info_handler(context)});
  routes.add({"GET", "/health", Access::kOpen, health_handler(context)});
  routes.add({"GET", "/livez", Access::kOpen, live_handler(context)});
  routes.add({"GET", "/readyz", Access::kOpen, ready_handler(context)});
  routes.add({"GET", "/", Access::kOpen, page_handler()});
  routes.add({"GET", "/assets/*", Access::kOpen, page_asset_handler()});
  routes.add({"GET", "/favicon.ico", Access::kOpen, page_icon_handler()});
  return routes;
}

}  // namespace qwen
