// See ggml_blocks.h.
#include "peers/ggml_blocks.h"

#include <cstring>

#include "base/dtype.h"
#include "base/error.h"

namespace qwen {
namespace {

template <typename T>
void put(std::byte* out, T value) {
  std::memcpy(out, &value, sizeof value);
}

void encode_q8_0(const float* x, std::byte* out) {
  const GgmlBlock block = quantize_q8_0(x);
  put(out, block.scale);
  std::memcpy(out + 2, block.q, sizeof block.q);
}

// Value i of the first half shares a byte with value i of the second, which has the high nibble.
void encode_q4_0(const float* x, std::byte* out) {
  const GgmlBlock block = quantize_q4_0(x);
  put(out, block.scale);
  for (int i = 0; i < kGgmlBlock / 2; ++i)
    put(out + 2 + i, static_cast<uint8_t>((block.q[i] + 8) | (block.q[i + kGgmlBlock / 2] + 8) << 4));
}

}  // namespace

std::optional<GgmlType> ggml_type_of(std::string_view name) {
  if (name == "f32") return GgmlType::kF32;
  if (name == "bf16") return GgmlType::kBF16;
  if (name == "q8_0") return GgmlType::kQ8_0;
  if (name == "q4_0") return GgmlType::kQ4_0;
  return std::nullopt;
}

uint64_t ggml_bytes(GgmlType type, uint64_t values) {
  switch (type) {
    case GgmlType::kF32:
      return values * 4;
    case GgmlType::kBF16:
      return values * 2;
    case GgmlType::kQ8_0:
      return values / kGgmlBlock * kQ8BlockBytes;
    case GgmlType::kQ4_0:
      return values / kGgmlBlock * kQ4BlockBytes;
  }
  return 0;
}

void ggml_encode(GgmlType type, std::span<const float> values, std::vector<std::byte>& out) {
  const bool blocks = type == GgmlType::kQ8_0 || type == GgmlType::kQ4_0;
  QWEN_CHECK(!blocks || values.size() % kGgmlBlock == 0);
  const size_t start = out.size();
  out.resize(start + ggml_bytes(type, values.size()));
  std::byte* at = out.data() + start;
  switch (type) {
    case GgmlType::kF32:
      std::memcpy(at, values.data(), values.size_bytes());
      break;
    case GgmlType::kBF16:
      for (const float value : values) put(at, f32_to_bf16(value)), at += 2;
      break;
    case GgmlType::kQ8_0:
      for (size_t i = 0; i < values.size(); i += kGgmlBlock, at += kQ8BlockBytes) encode_q8_0(&values[i], at);
      break;
    case GgmlType::kQ4_0:
      for (size_t i = 0; i < values.size(); i += kGgmlBlock, at += kQ4BlockBytes) encode_q4_0(&values[i], at);
      break;
  }
}

}  // namespace qwen
