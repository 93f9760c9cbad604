// Three passes over the header's claims: each entry alone, names against each other, ranges against the file.
#include "weights/safetensors.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "base/checked_math.h"
#include "base/error.h"
#include "base/quote.h"
#include "weights/safetensors_header.h"

namespace qwen {
namespace {

constexpr uint64_t kLengthBytes = 8;

std::optional<DType> parse_dtype(std::string_view name) {
  if (name == "F32") return DType::kF32;
  if (name == "F16") return DType::kF16;
  if (name == "BF16") return DType::kBF16;
  if (name == "F8_E4M3") return DType::kF8E4M3;
  if (name == "I8") return DType::kI8;
  if (name == "U8") return DType::kU8;
  if (name == "I32") return DType::kI32;
  if (name == "I64") return DType::kI64;
  return std::nullopt;
}

uint64_t read_header_length(std::span<const std::byte> file, const std::string& path) {
  if (file.size() < kLengthBytes)
    throw Error(ErrorCode::kBadData,
                str(path, ": ", file.size(), " bytes, too short for a safetensors file; download it again"));
  uint64_t length = 0;
  for (size_t i = kLengthBytes; i-- > 0;) length = length << 8 | static_cast<uint8_t>(file[i]);
  if (length > kMaxSafetensorsHeader)
    throw Error(ErrorCode::kBadData, str(path, ": header length ", length, " is above the limit of ",
                                         kMaxSafetensorsHeader, "; the file is corrupt or no safetensors file"));
  if (length > file.size() - kLengthBytes)
    throw Error(ErrorCode::kBadData, str(path, ": the header needs ", kLengthBytes + length, " bytes but the file has ",
                                         file.size(), "; it is truncated, download it again"));
  return length;
}

// `offset` of the result is still relative to the data.
TensorInfo check_entry(SafetensorsEntry&& entry, const std::string& path) {
  const auto fail = [&](const std::string& what) {
    throw Error(ErrorCode::kBadData, str(path, ": tensor ", quote(entry.name), ": ", what));
  };
  TensorInfo info;
  const std::optional<DType> dtype = parse_dtype(entry.dtype);
  if (!dtype) fail(str("dtype ", quote(entry.dtype), " is not one of F32, F16, BF16, F8_E4M3, I8, U8, I32, I64"));
  info.dtype = *dtype;
  std::optional<uint64_t> bytes = dtype_size(*dtype);
  for (const uint64_t dim : entry.shape) {
    if (dim == 0 || dim > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      fail(str("shape has a dimension of ", dim, "; allowed is 1 to 2^63 - 1"));
    if (bytes) bytes = checked_mul(*bytes, dim);
    info.shape.push_back(static_cast<int64_t>(dim));
  }
  const auto [begin, end] = entry.data_offsets;
  if (begin > end) fail(str("data_offsets [", begin, ", ", end, "] run backwards"));
  if (!bytes || *bytes != end - begin)
    fail(str("shape ", to_string(info.shape), " of ", entry.dtype, " is ",
             bytes ? std::to_string(*bytes) : "more than 2^64", " bytes, but data_offsets span ", end - begin));
  info.name = std::move(entry.name);
  info.offset = begin;
  info.size_bytes = *bytes;
  return info;
}

// Tensors in offset order must tile the data exactly: no overlap, no hole, nothing left over.
void check_coverage(const std::vector<TensorInfo>& tensors, uint64_t data_bytes, const std::string& path) {
  uint64_t end = 0;
  for (const TensorInfo& tensor : tensors) {
    if (tensor.offset != end)
      throw Error(ErrorCode::kBadData, str(path, ": tensor ", quote(tensor.name), ": data_offsets begin at ",
                                           tensor.offset, " but the data before ends at ", end,
                                           tensor.offset < end ? " (overlap)" : " (hole)", "; the file is corrupt"));
    end += tensor.size_bytes;  // cannot wrap: begin + size is the entry's end, a 64-bit number in the file
  }
  if (end != data_bytes)
    throw Error(ErrorCode::kBadData,
                str(path, ": the header describes ", end, " bytes of data but the file has ", data_bytes,
                    end > data_bytes ? "; it is truncated, download it again" : "; the file is corrupt"));
}

void check_unique_names(const std::vector<TensorInfo>& tensors, const std::string& path) {
  std::vector<std::string_view> names;
  names.reserve(tensors.size());
  for (const TensorInfo& tensor : tensors) names.push_back(tensor.name);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end())
    throw Error(ErrorCode::kBadData, str(path, ": tensor ", quote(*twice), " is listed twice; the file is corrupt"));
}

}  // namespace

SafetensorsFile read_safetensors(std::span<const std::byte> file, const std::string& path) {
  const uint64_t length = read_header_length(file, path);
  const std::string_view json(reinterpret_cast<const char*>(file.data()) + kLengthBytes, length);
  SafetensorsFile result{.header_bytes = kLengthBytes + length};
  std::vector<SafetensorsEntry> entries = parse_safetensors_header(json, path);
  result.tensors.reserve(entries.size());
  for (SafetensorsEntry& entry : entries) result.tensors.push_back(check_entry(std::move(entry), path));
  check_unique_names(result.tensors, path);
  std::sort(result.tensors.begin(), result.tensors.end(),
            [](const TensorInfo& a, const TensorInfo& b) { return a.offset < b.offset; });
  check_coverage(result.tensors, file.size() - result.header_bytes, path);
  for (TensorInfo& tensor : result.tensors) tensor.offset += result.header_bytes;
  return result;
}

}  // namespace qwen
