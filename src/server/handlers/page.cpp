// GET /, /docs, /openapi.json and /assets/*: the pages that a person sees and what they read, from memory. Invariant:
// whatever text a model or a proxy slips into the page, the browser runs only what this server sent and speaks with
// this server alone (the content security policy).
#include <algorithm>

#include "base/error.h"
#include "base/hash.h"
#include "server/handlers/handlers.h"
#include "server/handlers/openapi_document.h"
#include "server/handlers/page_assets.h"

namespace qwen {
namespace {

constexpr std::string_view kIndex = "index.html", kDocs = "docs.html", kIcon = "assets/icon.svg",
                           kAssetFolder = "assets/";

// Trusted types: no script of the page can turn a string into markup, not even by mistake.
constexpr const char* kContentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri "
    "'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

// no-cache: kept by the browser, but asked for again (304) each time, so that an update of the binary is an update of
// the page.
Headers page_headers(const PageAsset& asset) {
  return {{"ETag", std::string(asset.etag)},
          {"Cache-Control", "no-cache"},
          {"Content-Security-Policy", kContentSecurityPolicy},
          {"X-Content-Type-Options", "nosniff"},
          {"X-Frame-Options", "DENY"},
          {"Referrer-Policy", "no-referrer"},
          {"Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"},
          {"Cross-Origin-Opener-Policy", "same-origin"},
          {"Cross-Origin-Resource-Policy", "same-origin"}};
}

// If-None-Match: "a", W/"b" or *. Comparison is weak (RFC 9110, 13.1.2), so W/ says nothing here.
bool names_tag(std::string_view list, std::string_view etag) {
  if (trim_spaces(list) == "*") return true;
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    std::string_view tag = trim_spaces(list.substr(0, comma));
    if (tag.substr(0, 2) == "W/") tag.remove_prefix(2);
    if (tag == etag) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

const PageAsset* find_asset(std::string_view path) {
  const auto assets = page_assets();
  const auto found = std::find_if(assets.begin(), assets.end(), [&](const PageAsset& a) { return a.path == path; });
  return found == assets.end() ? nullptr : &*found;
}

Response answer(const Request& request, const PageAsset* asset) {
  if (asset == nullptr) throw Error(ErrorCode::kNotFound, "there is no such file of the page");
  const auto known = find_header(request.head.headers, "if-none-match");
  if (known && names_tag(*known, asset->etag))
    return {.status = 304, .content_type = {}, .headers = page_headers(*asset)};
  return {.content_type = std::string(asset->content_type),
          .body = std::string(asset->bytes),
          .headers = page_headers(*asset)};
}

Handler fixed(std::string_view path) {
  return [path](Request request, ResponderPtr responder) { responder->send(answer(request, find_asset(path))); };
}

}  // namespace

Handler page_handler() { return fixed(kIndex); }
Handler page_icon_handler() { return fixed(kIcon); }
Handler docs_handler() { return fixed(kDocs); }

Handler openapi_handler(const RouteTable& routes, const ServiceConfig& config) {
  struct Held {
    std::string text, etag;
  };
  std::string text = openapi_document(routes, config);
  std::string etag = '"' + sha256_hex(text).substr(0, 32) + '"';
  return [held = std::make_shared<const Held>(Held{std::move(text), std::move(etag)})](Request request,
                                                                                       ResponderPtr responder) {
    const PageAsset asset{"openapi.json", "application/json", held->etag, held->text};
    responder->send(answer(request, &asset));
  };
}

Handler page_asset_handler() {
  return [](Request request, ResponderPtr responder) {
    responder->send(answer(request, find_asset(std::string(kAssetFolder) + request.path_tail)));
  };
}

}  // namespace qwen
