// Prepared weights as bytes: what a file keeps is what the kernels read.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "backend/cpu/integer_layouts.h"
#include "backend/create.h"
#include "base/anonymous_memory.h"
#include "base/error.h"

namespace qwen {
namespace {

constexpr QuantFormat kInt8{.kind = QuantFormat::Kind::kInt8, .bits = 8, .group_size = kIntegerGroup};
constexpr QuantFormat kInt4{.kind = QuantFormat::Kind::kInt4, .bits = 4, .group_size = kIntegerGroup};

constexpr QuantFormat kInt4Half{.kind = QuantFormat::Kind::kInt4, .bits = 4, .group_size = kHalfGroup};

// Exact in f32, whatever computes them.
std::vector<float> weights(int64_t rows, int64_t cols) {
  std::mt19937 random(5);
  std::vector<float> values(static_cast<size_t>(rows * cols));
  for (float& value : values) value = static_cast<float>(static_cast<int>(random() % 2001) - 1000) / 1024.0f;
  return values;
}

HostMatrix plain(const std::vector<float>& values, int64_t rows, int64_t cols) {
  return {.rows = rows,
          .cols = cols,
          .weight = {DType::kF32, {rows, cols}, reinterpret_cast<const std::byte*>(values.data())}};
}

struct Packed {
  std::shared_ptr<std::byte> memory;
  size_t bytes = 0;

  HostMatrix matrix(const QuantFormat& format, int64_t rows, int64_t cols) const {
    return {.format = format,
            .rows = rows,
            .cols = cols,
            .weight = {DType::kU8, {static_cast<int64_t>(bytes)}, memory.get()},
            .owner = memory};
  }
};

Packed copy_packed(const Backend& backend, const Matrix& matrix) {
  std::vector<std::byte> scratch;
  const auto bytes = backend.packed(matrix, scratch);
  Packed packed{allocate_anonymous_memory(bytes.size(), "a test"), bytes.size()};
  std::memcpy(packed.memory.get(), bytes.data(), bytes.size());
  return packed;
}

TEST(PackedWeights, PrepareTakesThemBackAsTheyAre) {
  for (const std::string& kernels : available_kernels()) {
    const auto backend = create_backend({.kernels = kernels, .threads = 2});
    for (const QuantFormat& format : {kInt8, kInt4, kInt4Half}) {
      if (backend->packing(format).empty()) continue;
      const std::vector<float> values = weights(70, 200);
      const HostMatrix source = plain(values, 70, 200);
      const Matrix made = backend->prepare({&source, 1}, format);
      Packed packed = copy_packed(*backend, made);
      EXPECT_EQ(packed.bytes, backend->packed_bytes(70, 200, format));
      const HostMatrix kept = packed.matrix(format, 70, 200);
      const Matrix again = backend->prepare({&kept, 1}, format);
      EXPECT_EQ(again.buffer.as<std::byte>(), packed.memory.get()) << "copied";
      packed.memory.reset();
      std::vector<std::byte> scratch;
      const auto expected = backend->packed(made, scratch), actual = backend->packed(again, scratch);
      EXPECT_TRUE(std::equal(expected.begin(), expected.end(), actual.begin(), actual.end()));
      EXPECT_EQ(again.format, format);
      EXPECT_EQ(again.rows, 70);
      EXPECT_EQ(again.cols, 200);
    }
  }
}

TEST(PackedWeights, OtherSizesAreRefused) {
  for (const std::string& kernels : available_kernels()) {
    const auto backend = create_backend({.kernels = kernels, .threads = 1});
    if (backend->packing(kInt4).empty()) continue;
    const std::vector<float> values = weights(64, 256);
    const HostMatrix source = plain(values, 64, 256);
    const Packed packed = copy_packed(*backend, backend->prepare({&source, 1}, kInt4));
    const auto refused = [&](const HostMatrix& matrix) {
      try {
        backend->prepare({&matrix, 1}, matrix.format);
      } catch (const Error& error) {
        return error.code() == ErrorCode::kBadData;
      }
      return false;
    };
    EXPECT_FALSE(refused(packed.matrix(kInt4, 64, 256)));
    EXPECT_TRUE(refused(packed.matrix(kInt8, 64, 256)));
    EXPECT_TRUE(refused(packed.matrix(kInt4Half, 64, 256)));
    EXPECT_TRUE(refused(packed.matrix(kInt4, 65, 256)));
    EXPECT_TRUE(refused(packed.matrix(kInt4, 64, 257)));
    EXPECT_TRUE(refused(packed.matrix(kInt4, 0, 256)));
    EXPECT_TRUE(refused(packed.matrix(kInt4, int64_t{1} << 40, int64_t{1} << 40)));
    HostMatrix misaligned = packed.matrix(kInt4, 64, 256);
    misaligned.weight.data += 1;
    EXPECT_TRUE(refused(misaligned));
  }
}

}  // namespace
}  // namespace qwen
