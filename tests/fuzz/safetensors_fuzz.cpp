// A safetensors file: the input as it stands, and as a header before as much data as it claims. What is accepted tiles
// its file exactly, says the same as a general JSON reader finds there, and can be written and read again.
#include <nlohmann/json.hpp>
#include <set>

#include "base/checked_math.h"
#include "fuzz.h"
#include "weights/safetensors.h"
#include "weights/safetensors_header.h"

namespace qwen::fuzz {
namespace {

using Json = nlohmann::json;

const std::string kPath = "model.safetensors";

std::string file_of(std::string_view header, size_t data_bytes) {
  std::string file;
  for (int i = 0; i < 8; ++i) file += static_cast<char>(static_cast<uint64_t>(header.size()) >> (8 * i));
  return file + std::string(header) + std::string(data_bytes, 'x');
}

size_t claimed_bytes(std::string_view header) {
  constexpr uint64_t kMost = 1 << 16;
  uint64_t end = 0;
  accepts(ErrorCode::kBadData, [&] {
    for (const SafetensorsEntry& entry : parse_safetensors_header(header, kPath))
      end = std::max(end, entry.data_offsets[1]);
  });
  return end <= kMost ? end : 0;
}

SafetensorsFile read(const std::string& file) { return read_safetensors(std::as_bytes(std::span(file)), kPath); }

void check_file(const std::string& file) {
  SafetensorsFile found;
  if (!accepts(ErrorCode::kBadData, [&] { found = read(file); })) return;
  const Json header = Json::parse(file.substr(8, found.header_bytes - 8));
  Json written = Json::object();
  std::set<std::string> names;
  uint64_t end = found.header_bytes;
  for (const TensorInfo& tensor : found.tensors) {
    FUZZ_CHECK(names.insert(tensor.name).second);
    FUZZ_CHECK(tensor.offset == end && tensor.size_bytes > 0 && tensor.size_bytes <= file.size() - end);
    end += tensor.size_bytes;
    std::optional<uint64_t> bytes = dtype_size(tensor.dtype);
    Json shape = Json::array();
    for (int i = 0; i < tensor.shape.rank(); ++i) {
      shape.push_back(tensor.shape[i]);
      bytes = bytes ? checked_mul(*bytes, static_cast<uint64_t>(tensor.shape[i])) : bytes;
    }
    FUZZ_CHECK(bytes == tensor.size_bytes);
    const Json& entry = header.at(tensor.name);
    FUZZ_CHECK(entry.at("shape") == shape);
    FUZZ_CHECK(entry.at("data_offsets").at(0) == tensor.offset - found.header_bytes);
    written[tensor.name] = {{"dtype", entry.at("dtype")}, {"shape", shape}, {"data_offsets", entry.at("data_offsets")}};
  }
  FUZZ_CHECK(end == file.size());
  FUZZ_CHECK(names.size() + header.count("__metadata__") == header.size());

  const SafetensorsFile again = read(file_of(written.dump(), file.size() - found.header_bytes));
  FUZZ_CHECK(again.tensors.size() == found.tensors.size());
  for (size_t i = 0; i < found.tensors.size(); ++i) {
    const TensorInfo &a = found.tensors[i], &b = again.tensors[i];
    FUZZ_CHECK(a.name == b.name && a.dtype == b.dtype && a.shape == b.shape && a.size_bytes == b.size_bytes);
  }
}

}  // namespace
}  // namespace qwen::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = qwen::fuzz::text_of(data, size);
  qwen::fuzz::check_file(std::string(text));
  qwen::fuzz::check_file(qwen::fuzz::file_of(text, qwen::fuzz::claimed_bytes(text)));
  return 0;
}
