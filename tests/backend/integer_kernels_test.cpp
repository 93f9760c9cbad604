// Every instruction set's integer kernels against the scalar ones, which are the specification: the same bits.
#include "backend/backend_fixture.h"
#include "backend/cpu/integer_weights.h"

namespace qwen {
namespace {

using Kind = QuantFormat::Kind;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

class IntegerKernelsTest : public testing::TestWithParam<KernelSet> {
 protected:
  const IntegerKernels& kernels() const { return *GetParam().integer; }
  std::vector<float> random(int n, float scale = 1.0f) {
    std::normal_distribution<float> normal(0, scale);
    std::vector<float> values(static_cast<size_t>(n));
    for (float& v : values) v = normal(random_);
    return values;
  }
  std::mt19937 random_{7};
};

// Rows whose bytes a test compares: padding included.
std::vector<std::byte> quantized(const IntegerKernels& kernels, const std::vector<float>& row) {
  const int cols = static_cast<int>(row.size());
  std::vector<Int8Activations> groups(static_cast<size_t>(integer_groups(cols)));
  kernels.quantize_row({row.data(), groups.data(), cols});
  std::vector<std::byte> bytes(groups.size() * sizeof(Int8Activations));
  std::memcpy(bytes.data(), groups.data(), bytes.size());
  return bytes;
}

const std::vector<int> kCols = {1, 2, 3, 31, 32, 64, 96, 127, 128, 129, 255, 256, 300, 2560};

TEST_P(IntegerKernelsTest, RowsAreQuantizedAsTheScalarKernelsDo) {
  for (const int cols : kCols) {
    for (const float scale : {1.0f, 1e-31f, 1e-29f, 1e30f}) {
      std::vector<float> row = random(cols, scale);
      EXPECT_EQ(quantized(kernels(), row), quantized(kScalarIntegerKernels, row)) << cols << " " << scale;
      row[static_cast<size_t>(cols / 2)] *= 1000;  // an outlier
      EXPECT_EQ(quantized(kernels(), row), quantized(kScalarIntegerKernels, row)) << cols << " " << scale;
    }
    EXPECT_EQ(quantized(kernels(), std::vector<float>(static_cast<size_t>(cols))),
              quantized(kScalarIntegerKernels, std::vector<float>(static_cast<size_t>(cols))));
  }
}

TEST_P(IntegerKernelsTest, RowsCarryTheSumsThatTakeOffsetsOff) {
  const std::vector<float> row = random(300);
  Int8Activations groups[3];
  kernels().quantize_row({row.data(), groups, 300});
  for (const Int8Activations& group : groups) {
    int halves[2] = {};
    for (int i = 0; i < kIntegerGroup; ++i) halves[i / kHalfGroup] += group.q[i];
    EXPECT_EQ(group.minus_sum, -(halves[0] + halves[1]));
    EXPECT_EQ(group.minus_half_sums[0], -halves[0]);
    EXPECT_EQ(group.minus_half_sums[1], -halves[1]);
  }
}

TEST_P(IntegerKernelsTest, ANanOrInfinityPoisonsItsGroupAlone) {
  for (const float poison : {kInfinity, -kInfinity, std::nanf("")}) {
    std::vector<float> row = random(400);
    row[130] = poison;
    std::vector<Int8Activations> groups(4);
    kernels().quantize_row({row.data(), groups.data(), 400});
    EXPECT_TRUE(std::isnan(groups[1].scale));
    EXPECT_EQ(groups[1].minus_sum, 0);
    for (const size_t i : {0, 2, 3}) EXPECT_TRUE(std::isfinite(groups[i].scale));
    std::vector<float> weights(row.begin() + 128, row.begin() + 256);
    uint8_t q[kIntegerGroup];
    uint16_t scale;
    kernels().quantize_weights({weights.data(), kIntegerGroup, 4, q, &scale});
    EXPECT_TRUE(std::isnan(bf16_to_f32(scale)));
  }
}

TEST_P(IntegerKernelsTest, RotationIsItsOwnInverseAndKeepsLengths) {
  for (int count = 1; count <= kIntegerGroup; ++count) {
    const std::vector<float> before = random(count);
    std::vector<float> rotated = before, scalar = before;
    kernels().rotate(rotated.data(), count);
    kScalarIntegerKernels.rotate(scalar.data(), count);
    EXPECT_EQ(rotated, scalar) << count;
    double square = 0, rotated_square = 0;
    for (size_t i = 0; i < before.size(); ++i) {
      square += double{before[i]} * before[i];
      rotated_square += double{rotated[i]} * rotated[i];
    }
    EXPECT_NEAR(rotated_square / square, 1, 1e-5);
    kernels().rotate(rotated.data(), count);
    for (size_t i = 0; i < before.size(); ++i) EXPECT_NEAR(rotated[i], before[i], 2e-6);
  }
}

TEST_P(IntegerKernelsTest, WeightsAreQuantizedAsTheScalarKernelsDo) {
  for (const auto& [bits, group_size] : {std::pair{8, kIntegerGroup}, {4, kIntegerGroup}, {4, kHalfGroup}}) {
    for (int round = 0; round < 300; ++round) {
      const int count = round % 3 == 0 ? 1 + round * 37 % kIntegerGroup : kIntegerGroup;
      std::vector<float> values = random(kIntegerGroup, round % 7 == 0 ? 1e-30f : 0.02f);
      if (round % 5 == 0) values[static_cast<size_t>(round % count)] *= 100;
      if (round == 11) std::fill(values.begin(), values.end(), 0.0f);
      std::fill(values.begin() + count, values.end(), 0.0f);
      std::vector<float> scalar = values;
      uint8_t q[kIntegerGroup], q_scalar[kIntegerGroup];
      uint16_t scales[2] = {}, scales_scalar[2] = {};
      kernels().quantize_weights({values.data(), count, bits, q, scales, group_size});
      kScalarIntegerKernels.quantize_weights({scalar.data(), count, bits, q_scalar, scales_scalar, group_size});
      ASSERT_EQ(std::memcmp(scales, scales_scalar, sizeof scales), 0) << bits << " " << round;
      ASSERT_EQ(std::memcmp(q, q_scalar, sizeof q), 0) << bits << " " << round;
    }
  }
}

// Squares of large and small values leave f32's range; the bits must be those of the same values near 1.
TEST_P(IntegerKernelsTest, WeightsOfAnyMagnitudeAreQuantizedAlike) {
  for (const auto& [bits, group_size] : {std::pair{8, kIntegerGroup}, {4, kIntegerGroup}, {4, kHalfGroup}}) {
    const std::vector<float> near_one = random(kIntegerGroup);
    std::vector<float> rotated = near_one;
    uint8_t q_one[kIntegerGroup];
    uint16_t scales_one[2] = {};
    kernels().quantize_weights({rotated.data(), kIntegerGroup, bits, q_one, scales_one, group_size});
    for (const int exponent : {-90, -83, -75, -50, 50, 66, 100, 122}) {  // 2^-83 = 1e-25, 2^66 = 7e19, 2^122 = 5e36
      std::vector<float> values = near_one;
      for (float& v : values) v = std::ldexp(v, exponent);
      uint8_t q[kIntegerGroup];
      uint16_t scales[2] = {};
      kernels().quantize_weights({values.data(), kIntegerGroup, bits, q, scales, group_size});
      EXPECT_EQ(std::memcmp(q, q_one, sizeof q), 0) << bits << " " << exponent;
      for (int part = 0; part < kIntegerGroup / group_size; ++part)
        EXPECT_EQ(bf16_to_f32(scales[part]), std::ldexp(bf16_to_f32(scales_one[part]), exponent));
    }
  }
}

TEST_P(IntegerKernelsTest, ExtremeWeightsAreQuantizedAsTheScalarKernelsDo) {
  for (const auto& [bits, group_size] : {std::pair{8, kIntegerGroup}, {4, kIntegerGroup}, {4, kHalfGroup}}) {
    for (const float magnitude :
         {1e-38f, 9.9e-31f, 1.1e-30f, 1e-25f, 1e-22f, 1e-19f, 1e19f, 1e20f, 1e30f, 1e37f, 3e38f}) {
      for (int round = 0; round < 20; ++round) {
        // Many numbers, or one that rotation spreads; sums of the largest leave f32's range: an infinity.
        std::vector<float> values = random(kIntegerGroup, magnitude);
        if (round % 2 == 0) std::fill(values.begin() + 1, values.end(), round % 4 == 0 ? 0.0f : 1.0f);
        std::vector<float> scalar = values, original = values;
        uint8_t q[kIntegerGroup], q_scalar[kIntegerGroup];
        uint16_t scales[2] = {}, scales_scalar[2] = {};
        kernels().quantize_weights({values.data(), kIntegerGroup, bits, q, scales, group_size});
        kScalarIntegerKernels.quantize_weights(
            {scalar.data(), kIntegerGroup, bits, q_scalar, scales_scalar, group_size});
        ASSERT_EQ(std::memcmp(scales, scales_scalar, sizeof scales), 0) << bits << " " << magnitude << " " << round;
        ASSERT_EQ(std::memcmp(q, q_scalar, sizeof q), 0) << bits << " " << magnitude << " " << round;
        const bool zero = std::all_of(q, q + kIntegerGroup, [&](uint8_t x) { return x == (bits == 8 ? 128 : 8); });
        EXPECT_TRUE(!zero || magnitude < 1e-28f || std::isnan(bf16_to_f32(scales[0]))) << bits << " " << magnitude;
      }
    }
  }
}

// What quantizing may cost: the error of 128 normal values, relative to their length.
TEST_P(IntegerKernelsTest, WeightsStayCloseToWhatTheyWere) {
  for (const auto& [bits, group_size, limit] :
       {std::tuple{8, kIntegerGroup, 0.008}, {4, kIntegerGroup, 0.115}, {4, kHalfGroup, 0.105}}) {
    double error = 0, square = 0;
    for (int round = 0; round < 200; ++round) {
      std::vector<float> values = random(kIntegerGroup);
      uint8_t q[kIntegerGroup];
      uint16_t scales[2];
      kernels().quantize_weights({values.data(), kIntegerGroup, bits, q, scales, group_size});
      for (int i = 0; i < kIntegerGroup; ++i) {
        const double v = values[static_cast<size_t>(i)], scale = bf16_to_f32(scales[i / group_size]);
        error += std::pow(v - scale * (q[i] - (bits == 8 ? kInt8Offset : kInt4Offset)), 2);
        square += v * v;
      }
    }
    EXPECT_LT(std::sqrt(error / square), limit) << bits;
  }
}

TEST_P(IntegerKernelsTest, ProductsAreTheScalarKernelsToTheBit) {
  ThreadPool pool(2);
  std::uniform_int_distribution<int> pick_rows(1, 40), pick_cols(1, 900), pick_outputs(1, kPanelRows);
  for (int round = 0; round < 40; ++round) {
    const int rows = round == 0 ? 300 : pick_rows(random_), outputs = round % 2 ? kPanelRows : pick_outputs(random_);
    const int cols = round == 1 ? 9728 : pick_cols(random_), groups = integer_groups(cols);
    const std::vector<float> weights = random(outputs * cols), bias = random(outputs);
    const HostMatrix host{.rows = outputs,
                          .cols = cols,
                          .weight = {DType::kF32, {outputs, cols}, reinterpret_cast<const std::byte*>(weights.data())}};
    const size_t stride = int8_row_bytes(cols);
    std::vector<Int8Activations> x(static_cast<size_t>(rows) * stride / sizeof(Int8Activations) + 1);
    char* const x_bytes = reinterpret_cast<char*>(x.data());
    for (int row = 0; row < rows; ++row) {
      auto* const out = reinterpret_cast<Int8Activations*>(x_bytes + static_cast<size_t>(row) * stride);
      kernels().quantize_row({random(cols).data(), out, cols});
    }
    for (const QuantFormat& format : {QuantFormat{.kind = Kind::kInt8},
                                      {.kind = Kind::kInt4, .group_size = kIntegerGroup},
                                      {.kind = Kind::kInt4, .group_size = kHalfGroup}}) {
      const Matrix packed = pack_integer_weights({&host, 1}, format, kernels(), pool);
      const int out_stride = kPanelRows + 3;
      const auto product = [&](const IntegerKernels& table, bool with_bias) {
        std::vector<float> out(static_cast<size_t>(rows * out_stride), -1.0f);
        const auto kernel = format.kind == Kind::kInt8 ? table.matmul_int8
                            : is_int4_half(format)     ? table.matmul_int4_half
                                                       : table.matmul_int4;
        kernel({.x = x_bytes,
                .x_stride = stride,
                .w = packed.buffer.as<std::byte>(),
                .out = out.data(),
                .out_stride = out_stride,
                .bias = with_bias ? bias.data() : nullptr,
                .rows = rows,
                .columns = outputs,
                .groups = groups});
        return out;
      };
      for (const bool with_bias : {false, true}) {
        ASSERT_EQ(product(kernels(), with_bias), product(kScalarIntegerKernels, with_bias))
            << rows << " x " << outputs << " x " << cols << " int8 or groups of " << format.group_size;
      }
    }
  }
}

// The extremes of both operands: sums of 128 products of 127 and 127 must neither saturate nor wrap.
TEST_P(IntegerKernelsTest, TheLargestProductsAreExact) {
  const int signs[4][2] = {{1, 1}, {1, -1}, {-1, 1}, {-1, -1}};
  for (const auto& [w_sign, x_sign] : signs) {
    Int8Activations x = {};
    for (int8_t& q : x.q) q = static_cast<int8_t>(x_sign * kInt8Max);
    x.scale = 1;
    x.minus_sum = -x_sign * kInt8Max * kIntegerGroup;
    x.minus_half_sums[0] = x.minus_half_sums[1] = -x_sign * kInt8Max * kHalfGroup;
    auto int8 = std::make_unique<Int8Panel>();
    auto int4 = std::make_unique<Int4Panel>();
    std::memset(int8->q, w_sign * kInt8Max + kInt8Offset, sizeof int8->q);
    std::memset(int4->q, w_sign > 0 ? 0xff : 0x00, sizeof int4->q);
    for (int i = 0; i < kPanelRows; ++i) int8->scales[i] = int4->scales[i] = f32_to_bf16(1);
    const auto halves = std::make_unique<Int4HalfPanel[]>(2);
    for (Int4HalfPanel* half : {&halves[0], &halves[1]}) {
      std::memcpy(half->scales, int4->scales, sizeof half->scales);
      std::memset(half->q, w_sign > 0 ? 0xff : 0x00, sizeof half->q);
    }
    float out[kPanelRows];
    IntegerMatmulTask task{.x = &x, .x_stride = sizeof x, .w = int8.get(), .out = out, .out_stride = kPanelRows};
    task.rows = 1, task.columns = kPanelRows, task.groups = 1;
    kernels().matmul_int8(task);
    for (const float v : out) EXPECT_EQ(v, static_cast<float>(w_sign * x_sign * kInt8Max * kInt8Max * kIntegerGroup));
    task.w = int4.get();
    kernels().matmul_int4(task);
    const int w = w_sign > 0 ? kInt4Max : kInt4Min;
    for (const float v : out) EXPECT_EQ(v, static_cast<float>(w * x_sign * kInt8Max * kIntegerGroup));
    task.w = halves.get();
    kernels().matmul_int4_half(task);
    for (const float v : out) EXPECT_EQ(v, static_cast<float>(w * x_sign * kInt8Max * kIntegerGroup));
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, IntegerKernelsTest, testing::ValuesIn(sets_with_integers()), kernel_set_name);

}  // namespace
}  // namespace qwen
