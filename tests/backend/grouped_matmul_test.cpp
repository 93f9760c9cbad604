// GPTQ and AWQ weights through the backend: their own numbers, close to plain arithmetic, the same in every batch and
// for every number of threads; what cannot be multiplied as it is stored becomes what was asked for.
#include <array>
#include <numeric>

#include "backend/backend_fixture.h"
#include "quant/dequantize.h"
#include "quant/integer_format.h"
#include "support/stored_groups.h"

namespace qwen {
namespace {

using Kind = QuantFormat::Kind;
using Order = StoredGroups::Order;
constexpr QuantFormat kInt8{.kind = Kind::kInt8, .bits = 8, .group_size = kIntegerGroup};

class GroupedMatmulTest : public KernelTest {
 protected:
  bool integer() const { return kernels().integer != nullptr; }
  std::vector<float> product(CpuBackend& backend, const Matrix& weight, const std::vector<float>& x, int rows) {
    MatmulInput input = backend.alloc_matmul_input(rows, weight.cols, {});
    return product(backend, input, weight, x, rows);
  }
  // y = w · norm(x)
  std::vector<float> product(CpuBackend& backend, MatmulInput& input, const Matrix& weight, const std::vector<float>& x,
                             int rows) {
    const int cols = weight.cols;
    const Tensor unit = tensor_of(backend, {cols}, std::vector<float>(static_cast<size_t>(cols), 1.0f));
    backend.set_reader(input, weight);
    backend.rms_norm(input, tensor_of(backend, {rows, cols}, x), unit, 1e-6f, rows);
    Tensor y = backend.alloc(DType::kF32, {rows, weight.rows});
    backend.matmul(y, input, weight, nullptr, rows);
    return values_of(backend, y, rows);
  }
  // The weights that a matrix stands for.
  std::vector<float> weights_of(CpuBackend& backend, const Matrix& weight) {
    std::vector<int32_t> ids(static_cast<size_t>(weight.rows));
    std::iota(ids.begin(), ids.end(), 0);
    Tensor out = backend.alloc(DType::kF32, {weight.rows, weight.cols});
    backend.embed(out, weight, ids);
    return values_of(backend, out, weight.rows);
  }
};

// In double.
std::vector<float> expected(const StoredGroups& w, const std::vector<float>& x, int rows) {
  std::vector<float> y;
  for (int row = 0; row < rows; ++row) {
    const float* const v = x.data() + row * w.cols;
    double square = 0;
    for (int i = 0; i < w.cols; ++i) square += double{v[i]} * v[i];
    const double scale = 1 / std::sqrt(square / w.cols + 1e-6);
    for (int out = 0; out < w.rows; ++out) {
      double sum = 0;
      for (int i = 0; i < w.cols; ++i) sum += double{w.value(out, i)} * v[i] * scale;
      y.push_back(static_cast<float>(sum));
    }
  }
  return y;
}

TEST_P(GroupedMatmulTest, WeightsAreTheFoldersOwn) {
  CpuBackend backend(kernels(), 2);
  int seed = 0;
  for (const int bits : {4, 8}) {
    for (const int group : {32, 64, 96, 128, 1 << 20}) {
      for (const Order order : {Order::kPlain, Order::kShuffled}) {
        for (const DType scales : {DType::kF16, DType::kF32}) {
          ++seed;
          const StoredGroups groups(40, 384, group, bits, order, static_cast<uint32_t>(seed), seed % 3 == 0);
          const StoredGptq stored(groups, seed % 2, true, scales);
          const Matrix packed = backend.prepare({&stored.matrix, 1}, kInt8);
          EXPECT_EQ(packed.format.kind, integer() ? Kind::kGrouped : Kind::kNone);
          EXPECT_EQ(weights_of(backend, packed), groups.values()) << bits << " " << group;
        }
      }
    }
  }
  const StoredGroups groups(40, 384, 128, 4, Order::kPlain, 5);
  const StoredAwq stored(groups, DType::kF16);
  EXPECT_EQ(weights_of(backend, backend.prepare({&stored.matrix, 1}, {})), groups.values());
}

TEST_P(GroupedMatmulTest, IsCloseToPlainArithmeticOutliersIncluded) {
  CpuBackend backend(kernels(), 2);
  int seed = 0;
  for (const auto& [outputs, cols] : {std::pair{40, 64}, {72, 96}, {32, 296}, {96, 2560}, {8, 8}}) {
    for (const Order order : {Order::kPlain, Order::kShuffled}) {
      ++seed;
      const StoredGroups groups(outputs, cols, 32, seed % 2 ? 8 : 4, order, static_cast<uint32_t>(seed));
      const StoredGptq stored(groups, 1, true, DType::kF16);
      const Matrix packed = backend.prepare({&stored.matrix, 1}, kInt8);
      std::vector<float> x = random(static_cast<size_t>(3 * cols));
      for (int row = 0; row < 3; ++row) x[static_cast<size_t>(row * cols + cols / 3)] *= 100;
      EXPECT_LT(relative_error(product(backend, packed, x, 3), expected(groups, x, 3)), integer() ? 0.02 : 1e-5)
          << outputs << " x " << cols;
    }
  }
}

TEST_P(GroupedMatmulTest, ARowDependsNeitherOnItsBatchNorOnTheThreads) {
  constexpr int kRows = 70, kOutputs = 104, kCols = 896;
  const std::vector<float> x = random(kRows * kCols);
  int seed = 0;
  for (const auto& [bits, group] : {std::pair{4, 128}, {4, 32}, {8, 64}, {4, 1 << 20}}) {
    const Order order = seed++ % 2 ? Order::kShuffled : Order::kPlain;
    const StoredGroups groups(kOutputs, kCols, group, bits, order, static_cast<uint32_t>(seed), seed % 3 == 0);
    const StoredGptq stored(groups, 1, true, DType::kF16);
    CpuBackend one(kernels(), 1);
    const Matrix packed = one.prepare({&stored.matrix, 1}, kInt8);
    std::vector<float> alone;
    for (int row = 0; row < kRows; ++row) {
      const std::vector<float> y =
          product(one, packed, std::vector<float>(x.begin() + row * kCols, x.begin() + (row + 1) * kCols), 1);
      alone.insert(alone.end(), y.begin(), y.end());
    }
    for (int threads = 1; threads <= 3; ++threads) {
      CpuBackend backend(kernels(), threads);
      for (const int rows : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 40, 70}) {
        const std::vector<float> y = product(backend, packed, x, rows);
        ASSERT_EQ(std::memcmp(y.data(), alone.data(), y.size() * sizeof(float)), 0)
            << rows << " rows, " << threads << " threads, " << bits << " bits in groups of " << group;
      }
    }
  }
}

TEST_P(GroupedMatmulTest, WritersOfEveryKindQuantizeAlike) {
  CpuBackend backend(kernels(), 2);
  constexpr int kRows = 20, kCols = 352;
  const StoredGroups groups(48, kCols, 32, 4, Order::kShuffled, 3);
  const StoredGptq stored(groups, 1, true, DType::kF16);
  const Matrix packed = backend.prepare({&stored.matrix, 1}, kInt8);
  const Tensor gate_up = tensor_of(backend, {kRows, 2 * kCols}, random(kRows * 2 * kCols));
  MatmulInput input = backend.alloc_matmul_input(kRows, kCols, {}),
              plain = backend.alloc_matmul_input(kRows, kCols, {});
  backend.set_reader(input, packed);
  backend.silu_and_mul(input, gate_up, kRows);
  backend.silu_and_mul(plain, gate_up, kRows);
  const std::vector<float> values = groups.values();
  const StoredMatrix w(DType::kF32, 48, kCols, values);
  Tensor y = backend.alloc(DType::kF32, {kRows, 48}), y_plain = backend.alloc(DType::kF32, {kRows, 48});
  backend.matmul(y, input, packed, nullptr, kRows);
  backend.matmul(y_plain, plain, backend.prepare({&w.host, 1}, {}), nullptr, kRows);
  EXPECT_LT(relative_error(values_of(backend, y, kRows), values_of(backend, y_plain, kRows)), 0.02);
}

TEST_P(GroupedMatmulTest, StackedMatricesAreOneMatrix) {
  CpuBackend backend(kernels(), 2);
  constexpr int kCols = 192;
  for (const Order order : {Order::kPlain, Order::kShuffled}) {
    // q, k and v: other numbers, one order.
    StoredGroups q(40, kCols, 64, 4, order, 1), k(8, kCols, 64, 4, order, 2, true), v(96, kCols, 64, 4, order, 3);
    k.g_idx = v.g_idx = q.g_idx;
    const StoredGptq parts[] = {{q, 1, true, DType::kF16}, {k, 1, true, DType::kF16}, {v, 1, true, DType::kF32}};
    const HostMatrix hosts[] = {parts[0].matrix, parts[1].matrix, parts[2].matrix};
    const std::vector<float> x = random(kCols);
    const Matrix stacked = backend.prepare(hosts, kInt8);
    EXPECT_EQ(stacked.format.reordered, integer() && order == Order::kShuffled);
    std::vector<float> pieces;
    for (const HostMatrix& host : hosts) {
      const std::vector<float> y = product(backend, backend.prepare({&host, 1}, kInt8), x, 1);
      pieces.insert(pieces.end(), y.begin(), y.end());
    }
    EXPECT_EQ(product(backend, stacked, x, 1), pieces);
  }
}

TEST_P(GroupedMatmulTest, GroupsInAnotherOrderNeedNoOrderOfInputs) {
  CpuBackend backend(kernels(), 1);
  StoredGroups groups(32, 128, 32, 4, Order::kPlain, 9);
  for (int col = 0; col < 128; ++col)
    groups.g_idx[static_cast<size_t>(col)] = std::array{2, 0, 0, 3}[static_cast<size_t>(col / 32)];
  const StoredGptq stored(groups, 1, true, DType::kF16);
  const Matrix packed = backend.prepare({&stored.matrix, 1}, kInt8);
  EXPECT_EQ(packed.format.kind, integer() ? Kind::kGrouped : Kind::kNone);
  EXPECT_FALSE(packed.format.reordered);
  EXPECT_EQ(weights_of(backend, packed), groups.values());
}

TEST_P(GroupedMatmulTest, WhatCannotBeMultipliedAsStoredBecomesWhatWasAsked) {
  CpuBackend backend(kernels(), 2);
  constexpr int kCols = 192;
  const StoredGroups a(40, kCols, 64, 4, Order::kShuffled, 1), b(40, kCols, 64, 4, Order::kShuffled, 2),
      odd(40, kCols, 40, 4, Order::kPlain, 3);
  // Each input in a group of its own choice: no runs of 64, however they are sorted.
  StoredGroups uneven(40, kCols, 64, 4, Order::kPlain, 4);
  for (int col = 0; col < kCols; ++col) uneven.g_idx[static_cast<size_t>(col)] = col < 70 ? 0 : col < 100 ? 1 : 2;
  const StoredGptq stored_a(a, 1, true), stored_b(b, 1, true), stored_odd(odd, 1, false),
      stored_uneven(uneven, 1, true);
  const std::vector<float> x = random(kCols);
  const auto check = [&](std::vector<HostMatrix> hosts, const std::vector<const StoredGroups*>& parts) {
    std::vector<float> want, values;
    for (const StoredGroups* part : parts) {
      for (const float v : expected(*part, x, 1)) want.push_back(v);
      for (const float v : part->values()) values.push_back(v);
    }
    const Matrix int8 = backend.prepare(hosts, kInt8), plain = backend.prepare(hosts, {});
    EXPECT_EQ(int8.format.kind, integer() ? Kind::kInt8 : Kind::kNone);
    EXPECT_EQ(plain.format.kind, Kind::kNone);
    EXPECT_EQ(backend.prepared_format(hosts, kInt8), kInt8);
    EXPECT_LT(relative_error(weights_of(backend, int8), values), 0.015);
    EXPECT_LT(relative_error(weights_of(backend, plain), values), 0.004);
    EXPECT_LT(relative_error(product(backend, int8, x, 1), want), 0.02);
    EXPECT_LT(relative_error(product(backend, plain, x, 1), want), 0.01);
  };
  check({stored_a.matrix, stored_b.matrix}, {&a, &b});
  check({stored_odd.matrix}, {&odd});
  check({stored_uneven.matrix}, {&uneven});
  const StoredMatrix beside(DType::kF32, 40, kCols, a.values());
  check({stored_a.matrix, beside.host}, {&a, &a});
}

TEST_P(GroupedMatmulTest, Fp8WeightsAreFloats) {
  CpuBackend backend(kernels(), 2);
  constexpr int kOutputs = 40, kCols = 256;
  std::vector<uint8_t> codes;
  for (int i = 0; i < kOutputs * kCols; ++i) codes.push_back(static_cast<uint8_t>(pick(0, 0x7e) | pick(0, 1) << 7));
  const std::vector<float> scales = {0.5f, 0.25f};
  const HostMatrix stored{.format = {.kind = Kind::kFp8Block, .bits = 8},
                          .rows = kOutputs,
                          .cols = kCols,
                          .weight = view_of(DType::kF8E4M3, {kOutputs, kCols}, codes),
                          .scales = view_of(DType::kF32, {1, 2}, scales)};
  std::vector<float> values(kOutputs * kCols);
  dequantize_rows(stored, 0, kOutputs, values.data());
  for (const QuantFormat& format : {kInt8, QuantFormat{}}) {
    const Matrix packed = backend.prepare({&stored, 1}, format);
    EXPECT_EQ(packed.format.kind, integer() ? format.kind : Kind::kNone);
    EXPECT_LT(relative_error(weights_of(backend, packed), values), 0.015);
  }
}

// One buffer serves all layers, whatever their weights became.
TEST_P(GroupedMatmulTest, AnInputTakesTheFormOfItsReader) {
  CpuBackend backend(kernels(), 2);
  for (const int cols : {33, 64}) {
    const StoredGroups groups(40, cols, 1 << 20, 4, Order::kPlain, 1);
    const StoredAwq stored(groups, DType::kF16);
    const StoredMatrix plain(DType::kF32, 40, cols, groups.values());
    const Matrix readers[] = {backend.prepare({&stored.matrix, 1}, {}), backend.prepare({&plain.host, 1}, {}),
                              backend.prepare({&plain.host, 1}, kInt8)};
    const std::vector<float> x = random(static_cast<size_t>(5 * cols));
    MatmulInput shared = backend.alloc_matmul_input(5, cols, kInt8);
    for (const int i : {0, 1, 2, 1, 0, 2, 0, 1})
      EXPECT_EQ(product(backend, shared, readers[i], x, 5), product(backend, readers[i], x, 5)) << cols << " " << i;
  }
}

TEST_P(GroupedMatmulTest, PackedBytesAreTakenBackAsTheyAre) {
  CpuBackend backend(kernels(), 2);
  if (!integer()) GTEST_SKIP() << "packs nothing";
  const StoredGroups groups(72, 128, 32, 4, Order::kShuffled, 1);
  const StoredGptq stored(groups, 1, true, DType::kF16);
  const Matrix made = backend.prepare({&stored.matrix, 1}, kInt8);
  std::vector<std::byte> scratch;
  const std::span<const std::byte> bytes = backend.packed(made, scratch);
  ASSERT_EQ(bytes.size(), backend.packed_bytes(72, 128, made.format));
  EXPECT_GE(bytes.size(), backend.weight_bytes(72, 128, DType::kF32, made.format));
  EXPECT_NE(backend.packing(made.format), backend.packing(kInt8));
  Tensor memory = backend.alloc(DType::kF32, {static_cast<int64_t>(bytes.size() / 4)});
  std::byte* const copy = memory.buffer.as<std::byte>();
  std::memcpy(copy, bytes.data(), bytes.size());
  HostMatrix kept{.format = made.format,
                  .rows = 72,
                  .cols = 128,
                  .weight = {DType::kU8, {static_cast<int64_t>(bytes.size())}, copy}};
  const Matrix again = backend.prepare({&kept, 1}, made.format);
  EXPECT_EQ(again.buffer.as<std::byte>(), copy);
  EXPECT_EQ(weights_of(backend, again), groups.values());
  const auto refused = [&](const HostMatrix& matrix) {
    try {
      backend.prepare({&matrix, 1}, matrix.format);
    } catch (const Error& error) {
      return error.code() == ErrorCode::kBadData;
    }
    return false;
  };
  HostMatrix wrong = kept;
  wrong.rows = 97;
  EXPECT_TRUE(refused(wrong));
  wrong = kept;
  wrong.format.reordered = false;
  EXPECT_TRUE(refused(wrong));
  for (const int32_t index : {-1, 128, 0}) {  // 0: twice
    std::memcpy(copy + bytes.size() - 4, &index, 4);
    std::memset(copy + bytes.size() - 8, 0, 4);
    EXPECT_TRUE(refused(kept));
  }
}

QWEN_FOR_EVERY_KERNEL_SET(GroupedMatmulTest);

}  // namespace
}  // namespace qwen
