// Random matrices of integers with scales and zero points per group, their values as the definition says, and how GPTQ
// and AWQ folders spell them.
#pragma once

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include "base/dtype.h"
#include "quant/host_matrix.h"

namespace qwen {

template <typename T>
TensorView view_of(DType dtype, const Shape& shape, const std::vector<T>& data) {
  return {dtype, shape, reinterpret_cast<const std::byte*>(data.data())};
}

struct StoredGroups {
  enum class Order { kPlain, kShuffled };

  int rows, cols, group, bits;
  std::vector<uint32_t> q, zero;  // [rows, cols], [groups, rows]
  std::vector<float> scale;       // [groups, rows], exact in f16
  std::vector<int32_t> g_idx;     // [cols]

  StoredGroups(int rows_, int cols_, int group_, int bits_, Order order, uint32_t seed, bool symmetric = false)
      : rows(rows_), cols(cols_), group(group_), bits(bits_) {
    std::mt19937 random(seed);
    const uint32_t mask = (1u << bits) - 1, middle = 1u << (bits - 1);
    for (int i = 0; i < rows * cols; ++i) q.push_back(random() & mask);
    for (int i = 0; i < groups() * rows; ++i) zero.push_back(symmetric ? middle : random() & mask);
    for (int i = 0; i < groups() * rows; ++i)
      scale.push_back(f16_to_f32(f32_to_f16(0.01f + 0.001f * static_cast<float>(random() % 97))));
    for (int col = 0; col < cols; ++col) g_idx.push_back(col / group);
    if (order == Order::kShuffled) std::shuffle(g_idx.begin(), g_idx.end(), random);
  }
  int groups() const { return (cols + group - 1) / group; }
  float value(int row, int col) const {
    const size_t at = static_cast<size_t>(g_idx[static_cast<size_t>(col)] * rows + row);
    return scale[at] * (static_cast<float>(q[static_cast<size_t>(row * cols + col)]) - static_cast<float>(zero[at]));
  }
  std::vector<float> values() const {
    std::vector<float> all;
    for (int row = 0; row < rows; ++row)
      for (int col = 0; col < cols; ++col) all.push_back(value(row, col));
    return all;
  }
};

// The scales of a matrix as a folder stores them.
struct StoredScales {
  std::vector<uint16_t> half;
  std::vector<float> wide;
  TensorView view;

  StoredScales(const StoredGroups& s, DType dtype) {
    const Shape shape{s.groups(), s.rows};
    for (const float scale : s.scale) half.push_back(dtype == DType::kF16 ? f32_to_f16(scale) : f32_to_bf16(scale));
    wide = s.scale;
    view = dtype == DType::kF32 ? view_of(dtype, shape, wide) : view_of(dtype, shape, half);
  }
};

struct StoredGptq {
  std::vector<uint32_t> qweight, qzeros;
  std::vector<int32_t> g_idx;
  StoredScales scales;
  HostMatrix matrix;

  StoredGptq(const StoredGroups& s, int zero_offset, bool with_g_idx, DType scale_dtype = DType::kF32)
      : g_idx(s.g_idx), scales(s, scale_dtype) {
    const int fields = 32 / s.bits, groups = s.groups();
    const uint32_t mask = (1u << s.bits) - 1;
    qweight.resize(static_cast<size_t>(s.cols / fields * s.rows));
    qzeros.resize(static_cast<size_t>(groups * s.rows / fields));
    for (int row = 0; row < s.rows; ++row)
      for (int col = 0; col < s.cols; ++col)
        qweight[static_cast<size_t>(col / fields * s.rows + row)] |= s.q[static_cast<size_t>(row * s.cols + col)]
                                                                     << (col % fields * s.bits);
    for (int g = 0; g < groups; ++g)
      for (int row = 0; row < s.rows; ++row)
        qzeros[static_cast<size_t>(g * (s.rows / fields) + row / fields)] |=
            ((s.zero[static_cast<size_t>(g * s.rows + row)] - static_cast<uint32_t>(zero_offset)) & mask)
            << (row % fields * s.bits);
    matrix = {
        .format = {.kind = QuantFormat::Kind::kGptq, .bits = s.bits, .group_size = s.group, .zero_offset = zero_offset},
        .rows = s.rows,
        .cols = s.cols,
        .weight = view_of(DType::kI32, {s.cols / fields, s.rows}, qweight),
        .scales = scales.view,
        .zeros = view_of(DType::kI32, {groups, s.rows / fields}, qzeros)};
    if (with_g_idx) matrix.g_idx = view_of(DType::kI32, {s.cols}, g_idx);
  }
  StoredGptq(const StoredGptq&) = delete;  // views look inside
  StoredGptq& operator=(const StoredGptq&) = delete;
};

// Of 4 bits and groups in order.
struct StoredAwq {
  static constexpr int kShift[] = {0, 16, 4, 20, 8, 24, 12, 28};  // of output i within its word

  std::vector<uint32_t> qweight, qzeros;
  StoredScales scales;
  HostMatrix matrix;

  explicit StoredAwq(const StoredGroups& s, DType scale_dtype = DType::kF32) : scales(s, scale_dtype) {
    const int words = s.rows / 8;
    qweight.resize(static_cast<size_t>(s.cols * words));
    qzeros.resize(static_cast<size_t>(s.groups() * words));
    for (int row = 0; row < s.rows; ++row) {
      for (int col = 0; col < s.cols; ++col)
        qweight[static_cast<size_t>(col * words + row / 8)] |= s.q[static_cast<size_t>(row * s.cols + col)]
                                                               << kShift[row % 8];
      for (int g = 0; g < s.groups(); ++g)
        qzeros[static_cast<size_t>(g * words + row / 8)] |= s.zero[static_cast<size_t>(g * s.rows + row)]
                                                            << kShift[row % 8];
    }
    matrix = {.format = {.kind = QuantFormat::Kind::kAwq, .bits = 4, .group_size = s.group},
              .rows = s.rows,
              .cols = s.cols,
              .weight = view_of(DType::kI32, {s.cols, words}, qweight),
              .scales = scales.view,
              .zeros = view_of(DType::kI32, {s.groups(), words}, qzeros)};
  }
  StoredAwq(const StoredAwq&) = delete;
  StoredAwq& operator=(const StoredAwq&) = delete;
};

}  // namespace qwen
