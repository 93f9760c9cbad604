// The files of web/ as the binary holds them; cmake/EmbedFiles.cmake writes the definition at build time.
#pragma once

#include <span>
#include <string_view>

namespace qwen {

struct PageAsset {
  std::string_view path;  // below web/, which is also where it is served: "index.html" at /, "assets/main.js"
  std::string_view content_type;
  std::string_view etag;  // with its quotes; changes with the bytes
  std::string_view bytes;
};

std::span<const PageAsset> page_assets();

}  // namespace qwen
