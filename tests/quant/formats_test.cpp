// The published packings, by their check vectors and by packing random matrices here and reading them back.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <random>
#include <vector>

#include "base/error.h"
#include "quant/dequantize.h"
#include "quant/fp8_block.h"

namespace qwen {
namespace {

using Kind = QuantFormat::Kind;

template <typename T>
TensorView view(DType dtype, const Shape& shape, const std::vector<T>& data) {
  return {dtype, shape, reinterpret_cast<const std::byte*>(data.data())};
}

std::vector<float> dequantize(const HostMatrix& matrix) {
  check_matrix(matrix, "layer");
  std::vector<float> out(static_cast<size_t>(matrix.rows * matrix.cols));
  // In uneven pieces: no row may depend on where a call begins.
  for (int64_t row = 0, count = 1; row < matrix.rows; row += count, count = count * 2 + 1) {
    count = std::min(count, matrix.rows - row);
    dequantize_rows(matrix, row, count, out.data() + row * matrix.cols);
  }
  return out;
}

bool refused(const HostMatrix& matrix, const std::string& words) {
  try {
    check_matrix(matrix, "layer");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadData);
    EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
    return true;
  }
  return false;
}

// A random quantized matrix with its values as the definition says.
struct Sample {
  int rows, cols, group, bits;
  std::vector<uint32_t> q, zero;  // [rows, cols], [groups, rows]
  std::vector<float> scale;       // [groups, rows]
  std::vector<int32_t> g_idx;     // [cols]

  Sample(int rows_, int cols_, int group_, int bits_, bool shuffled, uint32_t seed)
      : rows(rows_), cols(cols_), group(group_), bits(bits_) {
    std::mt19937 random(seed);
    const int groups = (cols + group - 1) / group;
    const uint32_t mask = (1u << bits) - 1;
    for (int i = 0; i < rows * cols; ++i) q.push_back(random() & mask);
    for (int i = 0; i < groups * rows; ++i) zero.push_back(random() & mask);
    for (int i = 0; i < groups * rows; ++i) scale.push_back(0.01f + 0.001f * static_cast<float>(random() % 97));
    for (int col = 0; col < cols; ++col) g_idx.push_back(col / group);
    if (shuffled) std::shuffle(g_idx.begin(), g_idx.end(), random);
  }
  float value(int row, int col) const {
    const size_t at = static_cast<size_t>(g_idx[static_cast<size_t>(col)] * rows + row);
    return scale[at] * (static_cast<float>(q[static_cast<size_t>(row * cols + col)]) - static_cast<float>(zero[at]));
  }
  void expect_equal(const std::vector<float>& got) const {
    for (int row = 0; row < rows; ++row)
      for (int col = 0; col < cols; ++col)
        ASSERT_EQ(got[static_cast<size_t>(row * cols + col)], value(row, col)) << row << ", " << col;
  }
};

struct Gptq {
  std::vector<uint32_t> qweight, qzeros;
  HostMatrix matrix;

  Gptq(const Sample& s, int zero_offset, bool with_g_idx) {
    const int fields = 32 / s.bits, groups = static_cast<int>(s.zero.size()) / s.rows;
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
    matrix = {.format = {.kind = Kind::kGptq, .bits = s.bits, .group_size = s.group, .zero_offset = zero_offset},
              .rows = s.rows,
              .cols = s.cols,
              .weight = view(DType::kI32, {s.cols / fields, s.rows}, qweight),
              .scales = view(DType::kF32, {groups, s.rows}, s.scale),
              .zeros = view(DType::kI32, {groups, s.rows / fields}, qzeros)};
    if (with_g_idx) matrix.g_idx = view(DType::kI32, {s.cols}, s.g_idx);
  }
};

TEST(Gptq, BothVersionsBothWidthsAnyGroupAndOrder) {
  for (const int bits : {4, 8}) {
    for (const int zero_offset : {0, 1}) {
      for (const int group : {32, 48, 128, 1 << 20}) {
        const Sample in_order(24, 160, group, bits, false, 7), shuffled(24, 160, group, bits, true, 8);
        in_order.expect_equal(dequantize(Gptq(in_order, zero_offset, false).matrix));
        in_order.expect_equal(dequantize(Gptq(in_order, zero_offset, true).matrix));
        shuffled.expect_equal(dequantize(Gptq(shuffled, zero_offset, true).matrix));
      }
    }
  }
}

TEST(Gptq, CheckVector) {
  const std::vector<uint32_t> weight(8, 0x76543210u), zeros = {0x77777777u};
  const std::vector<float> scales(8, 1.0f);
  const HostMatrix matrix = {.format = {.kind = Kind::kGptq, .bits = 4, .group_size = 8, .zero_offset = 1},
                             .rows = 8,
                             .cols = 8,
                             .weight = view(DType::kI32, {1, 8}, weight),
                             .scales = view(DType::kF32, {1, 8}, scales),
                             .zeros = view(DType::kI32, {1, 1}, zeros)};
  const std::vector<float> values = dequantize(matrix);
  for (int col = 0; col < 8; ++col) EXPECT_EQ(values[static_cast<size_t>(col)], static_cast<float>(col - 8));
}

TEST(Gptq, RefusesPartsThatDoNotFit) {
  const Sample sample(8, 64, 32, 4, false, 1);
  Gptq good(sample, 1, true);
  EXPECT_FALSE(refused(good.matrix, ""));
  const auto changed = [&](const std::function<void(HostMatrix&)>& change) {
    HostMatrix matrix = good.matrix;
    change(matrix);
    return matrix;
  };
  EXPECT_TRUE(refused(changed([](HostMatrix& m) { m.zeros = {}; }), "layer.qzeros is missing"));
  EXPECT_TRUE(refused(changed([](HostMatrix& m) { m.scales.shape = {1, 8}; }), "layer.scales"));
  EXPECT_TRUE(refused(changed([](HostMatrix& m) { m.weight.dtype = DType::kI64; }), "layer.qweight"));
  EXPECT_TRUE(refused(changed([](HostMatrix& m) { m.rows = 9; }), "does not fill words"));
  for (const int32_t group : {-1, 2, 1 << 30}) {
    std::vector<int32_t> g_idx = sample.g_idx;
    g_idx[63] = group;
    EXPECT_TRUE(refused(changed([&](HostMatrix& m) { m.g_idx = view(DType::kI32, {64}, g_idx); }), "layer.g_idx[63]"));
  }
}

TEST(Awq, CheckVectorAndRandomMatrix) {
  constexpr int kShift[] = {0, 16, 4, 20, 8, 24, 12, 28};  // of output i within its word
  uint32_t word = 0;
  for (uint32_t i = 0; i < 8; ++i) word |= i << kShift[i];
  EXPECT_EQ(word, 0x75316420u);

  const Sample s(16, 96, 32, 4, false, 3);
  std::vector<uint32_t> qweight(96 * 2), qzeros(3 * 2);
  for (int row = 0; row < 16; ++row) {
    for (int col = 0; col < 96; ++col)
      qweight[static_cast<size_t>(col * 2 + row / 8)] |= s.q[static_cast<size_t>(row * 96 + col)] << kShift[row % 8];
    for (int g = 0; g < 3; ++g)
      qzeros[static_cast<size_t>(g * 2 + row / 8)] |= s.zero[static_cast<size_t>(g * 16 + row)] << kShift[row % 8];
  }
  HostMatrix matrix = {.format = {.kind = Kind::kAwq, .bits = 4, .group_size = 32},
                       .rows = 16,
                       .cols = 96,
                       .weight = view(DType::kI32, {96, 2}, qweight),
                       .scales = view(DType::kF32, {3, 16}, s.scale),
                       .zeros = view(DType::kI32, {3, 2}, qzeros)};
  s.expect_equal(dequantize(matrix));
  matrix.zeros.shape = {2, 2};
  EXPECT_TRUE(refused(matrix, "layer.qzeros"));
  matrix.rows = 15;
  EXPECT_TRUE(refused(matrix, "do not fill words"));
}

TEST(Fp8, EveryCode) {
  EXPECT_EQ(f8e4m3_to_f32(0x00), 0.0f);
  EXPECT_EQ(f8e4m3_to_f32(0x01), 0x1p-9f);
  EXPECT_EQ(f8e4m3_to_f32(0x08), 0x1p-6f);
  EXPECT_EQ(f8e4m3_to_f32(0x38), 1.0f);
  EXPECT_EQ(f8e4m3_to_f32(0x7e), 448.0f);
  EXPECT_EQ(f8e4m3_to_f32(0xfe), -448.0f);
  EXPECT_TRUE(std::isnan(f8e4m3_to_f32(0x7f)) && std::isnan(f8e4m3_to_f32(0xff)));
  for (uint8_t code = 0; code < 0x7e; ++code) EXPECT_LT(f8e4m3_to_f32(code), f8e4m3_to_f32(code + 1));
}

TEST(Fp8, BlocksRowsAndOneScale) {
  constexpr int kRows = 200, kCols = 300;
  std::mt19937 random(5);
  std::vector<uint8_t> codes;
  for (int i = 0; i < kRows * kCols; ++i) codes.push_back(static_cast<uint8_t>(random() % 0x7e + (random() % 2 << 7)));
  std::vector<float> scales;
  for (int i = 0; i < kRows; ++i) scales.push_back(0.5f + static_cast<float>(i));
  const auto check = [&](const Shape& shape, const std::function<int(int, int)>& index) {
    const HostMatrix matrix = {.format = {.kind = Kind::kFp8Block, .bits = 8},
                               .rows = kRows,
                               .cols = kCols,
                               .weight = view(DType::kF8E4M3, {kRows, kCols}, codes),
                               .scales = view(DType::kF32, shape, scales)};
    const std::vector<float> got = dequantize(matrix);
    for (int row = 0; row < kRows; ++row)
      for (int col = 0; col < kCols; ++col)
        ASSERT_EQ(got[static_cast<size_t>(row * kCols + col)],
                  f8e4m3_to_f32(codes[static_cast<size_t>(row * kCols + col)]) *
                      scales[static_cast<size_t>(index(row, col))]);
  };
  check({2, 3}, [](int row, int col) { return row / 128 * 3 + col / 128; });
  check({kRows, 1}, [](int row, int) { return row; });
  check({kRows}, [](int row, int) { return row; });
  check({1}, [](int, int) { return 0; });
  check({}, [](int, int) { return 0; });
  HostMatrix wrong = {.format = {.kind = Kind::kFp8Block, .bits = 8},
                      .rows = kRows,
                      .cols = kCols,
                      .weight = view(DType::kF8E4M3, {kRows, kCols}, codes),
                      .scales = view(DType::kF32, {3, 2}, scales)};
  EXPECT_TRUE(refused(wrong, "layer.weight_scale_inv"));
}

}  // namespace
}  // namespace qwen
