// A shard index: what is accepted is what a general JSON reader finds in weight_map, and every file name stays in its
// folder.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "fuzz.h"
#include "weights/shard_index.h"

namespace qwen::fuzz {
namespace {

void check_index(std::string_view text) {
  ShardIndex index;
  if (!accepts(ErrorCode::kBadData, [&] { index = parse_shard_index(text, ".safetensors", "index.json"); })) return;
  const nlohmann::json map = nlohmann::json::parse(text).at("weight_map");
  FUZZ_CHECK(map.size() == index.size());
  for (const auto& [tensor, file] : index) {
    FUZZ_CHECK(map.at(tensor) == file);
    const std::filesystem::path path = std::filesystem::path("folder") / file;
    FUZZ_CHECK(path.parent_path() == "folder" && path.extension() == ".safetensors");
    FUZZ_CHECK(path.lexically_normal() == path);
  }
}

}  // namespace
}  // namespace qwen::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  qwen::fuzz::check_index(qwen::fuzz::text_of(data, size));
  return 0;
}
