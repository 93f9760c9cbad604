// int8 and int4 weights as folders store them: what the layout says, and what is refused.
#include "quant/integer_rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>
#include <vector>

#include "quant/dequantize.h"
#include "quant/integer_format.h"
#include "support/expect_error.h"

namespace qwen {
namespace {

using Kind = QuantFormat::Kind;
constexpr QuantFormat kInt8{.kind = Kind::kInt8, .bits = 8, .group_size = kIntegerGroup};
constexpr QuantFormat kInt4{.kind = Kind::kInt4, .bits = 4, .group_size = kIntegerGroup};
constexpr QuantFormat kInt4Half{.kind = Kind::kInt4, .bits = 4, .group_size = kHalfGroup};

// Random integers and scales of [rows, cols], spelled out by this test.
struct Stored {
  QuantFormat format;
  int64_t rows, cols, groups;
  std::vector<int> q;            // [rows, cols]
  std::vector<uint16_t> scales;  // [rows, groups]
  std::vector<uint8_t> bytes;

  Stored(const QuantFormat& f, int64_t r, int64_t c)
      : format(f), rows(r), cols(c), groups((c + f.group_size - 1) / f.group_size) {
    std::mt19937 random(9);
    const int low = f.bits == 8 ? -kInt8Max : kInt4Min, high = f.bits == 8 ? kInt8Max : kInt4Max;
    for (int64_t i = 0; i < r * c; ++i) q.push_back(std::uniform_int_distribution<int>(low, high)(random));
    for (int64_t i = 0; i < r * groups; ++i)
      scales.push_back(f32_to_bf16(std::uniform_real_distribution<float>(-1, 1)(random)));
    for (size_t i = 0; i < q.size(); ++i) {
      if (f.bits == 8)
        bytes.push_back(static_cast<uint8_t>(q[i]));
      else if (i % 2 == 0)
        bytes.push_back(static_cast<uint8_t>((q[i] + 8) | (q[i + 1] + 8) << 4));
    }
  }
  HostMatrix matrix() const {
    const auto view = [](DType dtype, const Shape& shape, const auto& data) {
      return TensorView{dtype, shape, reinterpret_cast<const std::byte*>(data.data())};
    };
    const bool int8 = format.bits == 8;
    return {.format = format,
            .rows = rows,
            .cols = cols,
            .weight = view(int8 ? DType::kI8 : DType::kU8, {rows, int8 ? cols : cols / 2}, bytes),
            .scales = view(DType::kBF16, {rows, groups}, scales)};
  }
};

// One group's rotation, from its definition: blocks of the powers of two in `count`, H_ij = (-1)^(bits of i & j) /
// √size.
std::vector<double> rotated(const std::vector<double>& v) {
  std::vector<double> out(v.size());
  size_t first = 0;
  for (size_t size = 128; size > 0; size /= 2) {
    if ((v.size() & size) == 0) continue;
    for (size_t i = 0; i < size; ++i)
      for (size_t j = 0; j < size; ++j)
        out[first + i] +=
            (__builtin_popcountll(i & j) % 2 ? -1 : 1) * v[first + j] / std::sqrt(static_cast<double>(size));
    first += size;
  }
  return out;
}

TEST(IntegerRows, StandForRotatedScaledIntegers) {
  for (const QuantFormat& format : {kInt8, kInt4, kInt4Half}) {
    for (const int64_t cols : {2, 64, 66, 128, 200, 384}) {
      const Stored stored(format, 5, cols);
      const HostMatrix matrix = stored.matrix();
      check_matrix(matrix, "layer");
      std::vector<float> values(static_cast<size_t>(5 * cols));
      dequantize_rows(matrix, 0, 2, values.data());
      dequantize_rows(matrix, 2, 3, values.data() + 2 * cols);
      for (int64_t row = 0; row < 5; ++row) {
        for (int64_t col = 0; col < cols; col += kIntegerGroup) {
          std::vector<double> group;
          for (int64_t i = col; i < std::min<int64_t>(cols, col + kIntegerGroup); ++i)
            group.push_back(
                stored.q[static_cast<size_t>(row * cols + i)] *
                double{bf16_to_f32(stored.scales[static_cast<size_t>(row * stored.groups + i / format.group_size)])});
          const std::vector<double> expected = rotated(group);
          for (size_t i = 0; i < expected.size(); ++i)
            ASSERT_NEAR(values[static_cast<size_t>(row * cols + col) + i], expected[i], 1e-3)
                << row << ' ' << col + static_cast<int64_t>(i);
        }
      }
    }
  }
}

TEST(IntegerRows, ReadAndWriteAreEachOthersReverse) {
  for (const QuantFormat& format : {kInt8, kInt4}) {
    const Stored stored(format, 3, 140);
    const HostMatrix matrix = stored.matrix();
    for (int64_t row = 0; row < 3; ++row) {
      std::vector<int8_t> q(140);
      read_integers(matrix, row, 0, 128, q.data());
      read_integers(matrix, row, 128, 12, q.data() + 128);
      std::vector<uint8_t> shifted, bytes(static_cast<size_t>(matrix.weight.shape[1]));
      for (const int8_t value : q) shifted.push_back(static_cast<uint8_t>(value + 128));
      write_integers(format, shifted.data(), 140, 128, bytes.data());
      EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), stored.bytes.begin() + row * matrix.weight.shape[1]));
    }
  }
  Stored stored(kInt8, 1, 2);
  stored.bytes = {0x80, 0x81};  // -128 and -127
  int8_t q[2];
  read_integers(stored.matrix(), 0, 0, 2, q);
  EXPECT_EQ(q[0], -127);
  EXPECT_EQ(q[1], -127);
}

TEST(IntegerRows, RefusesPartsThatDoNotFit) {
  const Stored stored(kInt4Half, 4, 192);
  const auto refused = [&](const std::function<void(HostMatrix&)>& change, const char* words) {
    HostMatrix matrix = stored.matrix();
    change(matrix);
    return fails_with([&] { check_matrix(matrix, "layer"); }, ErrorCode::kBadData, words);
  };
  EXPECT_TRUE(refused([](HostMatrix& m) { m.scales = {}; }, "layer.scales is missing but must be [4, 3] of bfloat16"));
  EXPECT_TRUE(refused([](HostMatrix& m) { m.scales.shape = {4, 2}; }, "layer.scales is [4, 2]"));
  EXPECT_TRUE(refused([](HostMatrix& m) { m.scales.dtype = DType::kF16; }, "layer.scales is [4, 3] of float16"));
  EXPECT_TRUE(refused([](HostMatrix& m) { m.weight.dtype = DType::kI8; }, "layer.qweight is [4, 96] of int8"));
  EXPECT_TRUE(refused([](HostMatrix& m) { m.weight.shape = {4, 192}; }, "layer.qweight"));
  EXPECT_TRUE(refused([](HostMatrix& m) { m.cols = 191; }, "no pairs"));
  EXPECT_TRUE(refused([](HostMatrix& m) { m.format = kInt8; },
                      "layer.qweight is [4, 96] of uint8 but must be [4, 192] of int8"));
}

}  // namespace
}  // namespace qwen
