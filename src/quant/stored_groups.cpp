// See stored_groups.h.
#include "quant/stored_groups.h"

#include <algorithm>

#include "quant/awq.h"
#include "quant/gptq.h"
#include "quant/stored_floats.h"

namespace qwen {
namespace {

constexpr int64_t kRowsAtOnce = 32;

}  // namespace

int64_t group_of(const HostMatrix& matrix, int64_t col) {
  return matrix.g_idx.data ? read_element<int32_t>(matrix.g_idx, col) : col / matrix.format.group_size;
}

void read_stored_integers(const HostMatrix& matrix, int64_t col, int64_t first, int64_t count, uint8_t* out) {
  if (matrix.format.kind == QuantFormat::Kind::kAwq) return read_awq_integers(matrix, col, first, count, out);
  read_gptq_integers(matrix, col, first, count, out);
}

void read_stored_zeros(const HostMatrix& matrix, int64_t group, int64_t first, int64_t count, uint8_t* out) {
  if (matrix.format.kind == QuantFormat::Kind::kAwq) return read_awq_zeros(matrix, group, first, count, out);
  read_gptq_zeros(matrix, group, first, count, out);
}

void read_stored_scales(const HostMatrix& matrix, int64_t group, int64_t first, int64_t count, float* out) {
  read_floats(matrix.scales, group * matrix.rows + first, count, out);
}

// Words of equal zero points are equal in either packing. No exit on the way, so that the loop becomes vectors.
bool all_stored_zeros_are(const HostMatrix& matrix, uint8_t value) {
  const int bits = matrix.format.bits;
  const uint32_t stored = static_cast<uint32_t>(value - matrix.format.zero_offset) & ((1u << bits) - 1);
  uint32_t wanted = 0, other = 0;
  for (int shift = 0; shift < 32; shift += bits) wanted |= stored << shift;
  const int64_t words = matrix.zeros.shape.num_elements();
  for (int64_t i = 0; i < words; ++i) other |= read_element<uint32_t>(matrix.zeros, i) ^ wanted;
  return other == 0;
}

// A few rows at a time, so that what is written stays in the cache from one column to the next.
void dequantize_groups(const HostMatrix& matrix, int64_t first, int64_t count, float* out) {
  uint8_t q[kRowsAtOnce], zeros[kRowsAtOnce];
  float scales[kRowsAtOnce];
  for (int64_t done = 0; done < count; done += kRowsAtOnce) {
    const int64_t rows = std::min(kRowsAtOnce, count - done);
    float* const to = out + done * matrix.cols;
    int64_t last_group = -1;
    for (int64_t col = 0; col < matrix.cols; ++col) {
      const int64_t group = group_of(matrix, col);
      if (group != last_group) {
        read_stored_zeros(matrix, group, first + done, rows, zeros);
        read_stored_scales(matrix, group, first + done, rows, scales);
        last_group = group;
      }
      read_stored_integers(matrix, col, first + done, rows, q);
      for (int64_t i = 0; i < rows; ++i) to[i * matrix.cols + col] = scales[i] * static_cast<float>(q[i] - zeros[i]);
    }
  }
}

}  // namespace qwen
