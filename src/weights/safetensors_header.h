// The JSON header of a safetensors file as its author wrote it, before anything in it is believed.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qwen {

struct SafetensorsEntry {
  std::string name;
  std::string dtype;            // "BF16", …
  std::vector<uint64_t> shape;  // at most Shape::kMaxRank
  std::array<uint64_t, 2> data_offsets{};
};

// Parses as a stream of events with bounded depth and count, never as a document of the file's choosing.
// Throws kBadData naming `path` and the field. Entries are in file order; names may repeat.
std::vector<SafetensorsEntry> parse_safetensors_header(std::string_view json, const std::string& path);

}  // namespace qwen
