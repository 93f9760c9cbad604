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
#include "support/stored_groups.h"

namespace qwen {
namespace {

using Kind = QuantFormat::Kind;

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

void expect_equal(const StoredGroups& s, const std::vector<float>& got) {
  for (int row = 0; row < s.rows; ++row)
    for (int col = 0; col < s.cols; ++col)
      ASSERT_EQ(got[static_cast<size_t>(row * s.cols + col)], s.value(row, col)) << row << ", " << col;
}

TEST(Gptq, BothVersionsBothWidthsAnyGroupAndOrder) {
  using Order = StoredGroups::Order;
  for (const int bits : {4, 8}) {
    for (const int zero_offset : {0, 1}) {
      for (const int group : {32, 48, 128, 1 << 20}) {
        const StoredGroups in_order(24, 160, group, bits, Order::kPlain, 7),
            shuffled(40, 160, group, bits, Order::kShuffled, 8);
        expect_equal(in_order, dequantize(StoredGptq(in_order, zero_offset, false).matrix));
        expect_equal(in_order, dequantize(StoredGptq(in_order, zero_offset, true, DType::kF16).matrix));
        expect_equal(shuffled, dequantize(StoredGptq(shuffled, zero_offset, true).matrix));
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
                             .weight = view_of(DType::kI32, {1, 8}, weight),
                             .scales = view_of(DType::kF32, {1, 8}, scales),
                             .zeros = view_of(DType::kI32, {1, 1}, zeros)};
  const std::vector<float> values = dequantize(matrix);
  for (int col = 0; col < 8; ++col) EXPECT_EQ(values[static_cast<size_t>(col)], static_cast<float>(col - 8));
}

TEST(Gptq, RefusesPartsThatDoNotFit) {
  const StoredGroups sample(8, 64, 32, 4, StoredGroups::Order::kPlain, 1);
  const StoredGptq good(sample, 1, true);
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
    EXPECT_TRUE(
        refused(changed([&](HostMatrix& m) { m.g_idx = view_of(DType::kI32, {64}, g_idx); }), "layer.g_idx[63]"));
  }
}

TEST(Awq, CheckVectorAndRandomMatrix) {
  uint32_t word = 0;
  for (uint32_t i = 0; i < 8; ++i) word |= i << StoredAwq::kShift[i];
  EXPECT_EQ(word, 0x75316420u);

  const StoredGroups s(40, 96, 32, 4, StoredGroups::Order::kPlain, 3);
  const StoredAwq stored(s);
  expect_equal(s, dequantize(stored.matrix));
  HostMatrix matrix = stored.matrix;
  matrix.zeros.shape = {2, 5};
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
                               .weight = view_of(DType::kF8E4M3, {kRows, kCols}, codes),
                               .scales = view_of(DType::kF32, shape, scales)};
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
                      .weight = view_of(DType::kF8E4M3, {kRows, kCols}, codes),
                      .scales = view_of(DType::kF32, {3, 2}, scales)};
  EXPECT_TRUE(refused(wrong, "layer.weight_scale_inv"));
}

}  // namespace
}  // namespace qwen
