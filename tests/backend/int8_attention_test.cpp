// The integer kernels' attention over an int8 cache against the scalar one, which is the specification.
#include "backend/attention_fixture.h"

namespace qwen {
namespace {

// Rows as f32, whatever the kernels' matmuls read.
class Int8AttentionTest : public AttentionTest {
 protected:
  static KernelSet scalar_set() {
    return {"scalar", DType::kF32, DType::kI8, false, kScalarKernels, &kScalarIntegerKernels};
  }

  // A cache in which an earlier user has left tokens: finite scales, and any byte for a number, -128 often.
  Cache make_used_cache(CpuBackend& backend, const HeadShape& heads, int num_blocks, int block_size) {
    Cache cache = make_cache(backend, heads, num_blocks, block_size);
    const int64_t scale_bytes = int8_kv_scale_bytes(heads.head_dim), bytes = int8_kv_bytes(heads.head_dim);
    std::byte* const data = cache.kv.buffer.as<std::byte>();
    const int64_t tiles = int64_t{2} * num_blocks * block_size / kKvTile * heads.num_kv_heads;
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const std::vector<float> scales = random(static_cast<size_t>(scale_bytes) / sizeof(float), 0.1f);
      std::memcpy(data + tile * bytes, scales.data(), static_cast<size_t>(scale_bytes));
      for (int64_t i = scale_bytes; i < bytes; ++i) {
        const auto number = static_cast<int8_t>(std::max(-128, pick(-192, 127)));
        data[tile * bytes + i] = static_cast<std::byte>(number);
      }
    }
    return cache;
  }
};

TEST_P(Int8AttentionTest, EqualsTheScalarKernels) {
  if (kernels().integer == &kScalarIntegerKernels) GTEST_SKIP() << "these are the scalar kernels";
  const KernelSet scalar = scalar_set();
  CpuBackend fast(kernels(), 2), specification(scalar, 2);
  for (const int head_dim : {2, 8, 20, 64, 80, 128, 130, 144, 160, 256}) {
    for (int group = 1; group <= 8; ++group) {
      const HeadShape heads{2 * group, 2, head_dim};
      const int length = group == 4 ? pick(1025, 1200) : pick(1, 140);
      SCOPED_TRACE(str("head_dim ", head_dim, ", group ", group, ", ", length, " tokens"));
      Sequence s = make_sequence(heads, length);
      for (size_t i = 0; i < s.qkv.size(); i += 97) s.qkv[i] *= 20;  // outliers
      Cache a = make_used_cache(fast, heads, 40, 64), b = make_used_cache(specification, heads, 20, 128);
      EXPECT_LT(relative_error(whole(fast, a, s, length), whole(specification, b, s, length)), 1e-4);
    }
  }
}

// Whatever it is: a mask, not a weight of zero, keeps it out.
TEST_P(Int8AttentionTest, WhatAnEarlierUserLeftChangesNoBit) {
  CpuBackend backend(kernels(), 2);
  for (const int head_dim : {20, 128, 130}) {
    const HeadShape heads{8, 2, head_dim};
    for (const int length : {1, 15, 17, 33, 63, 65, 100}) {
      const Sequence s = make_sequence(heads, length);
      Cache used = make_used_cache(backend, heads, 8, 64), spoilt = make_cache(backend, heads, 8, 64);
      EXPECT_EQ(whole(backend, used, s, length), whole(backend, spoilt, s, length)) << head_dim << " " << length;
    }
  }
}

// Queries, keys and values that are ± one number once the cache has rotated them leave nothing to round.
TEST_P(Int8AttentionTest, WhatEightBitsHoldLosesOnlyTheRoundingOfWeights) {
  const HeadShape heads{4, 1, 128};
  CpuBackend backend(kernels(), 1);
  const int length = 70;
  Sequence s = make_sequence(heads, length);
  for (float& v : s.qkv) v = v < 0 ? -0.25f : 0.25f;
  for (int row = 0; row < length; ++row) {
    for (int head = 0; head < 6; ++head) {
      float* const v = &s.qkv[static_cast<size_t>(row * heads.qkv_size() + head * 128)];
      kScalarIntegerKernels.rotate(v, 128);
    }
  }
  Cache cache = make_cache(backend, heads, 8, 64);
  EXPECT_LT(relative_error(whole(backend, cache, s, length), expected(heads, s, length)), 2e-3);
}

// A key or value that is not finite spoils the rows that see it, and no other.
TEST_P(Int8AttentionTest, ANanReachesThoseWhoSeeIt) {
  const HeadShape heads{4, 2, 64};
  CpuBackend backend(kernels(), 2);
  const int length = 150, poisoned = 70;
  for (const int head : {4, 6}) {  // the first key head, the first value head
    Sequence s = make_sequence(heads, length);
    s.qkv[static_cast<size_t>(poisoned * heads.qkv_size() + head * 64 + 5)] = NAN;
    Cache cache = make_cache(backend, heads, 12, 64);
    const std::vector<float> rows = whole(backend, cache, s, length);
    for (int row = 0; row < length; ++row) {
      for (int query_head = 0; query_head < 4; ++query_head) {
        const bool nan = std::isnan(rows[static_cast<size_t>(row * heads.q_size() + query_head * 64)]);
        EXPECT_EQ(nan, row >= poisoned && query_head < 2) << row << " " << query_head;
      }
    }
  }
}

// Values whose sums are the largest there are: neither saturate nor wrap.
TEST_P(Int8AttentionTest, TheLargestSumsAreExact) {
  const HeadShape heads{1, 1, 64};
  CpuBackend backend(kernels(), 1);
  const int length = 64;
  for (const float sign : {1.0f, -1.0f}) {
    Sequence s = make_sequence(heads, length);
    std::fill(s.qkv.begin(), s.qkv.end(), 0.0f);
    for (int row = 0; row < length; ++row) {
      float* const value = &s.qkv[static_cast<size_t>(row * heads.qkv_size() + 128)];
      std::fill(value, value + 64, sign);
      kScalarIntegerKernels.rotate(value, 64);  // so that the cache holds the same number 64 times
    }
    Cache cache = make_cache(backend, heads, 4, 64);
    const std::vector<float> rows = whole(backend, cache, s, length);
    EXPECT_NEAR(rows[63 * 64], sign * 8.0f, 1e-4);
    for (int d = 1; d < 64; ++d) EXPECT_NEAR(rows[static_cast<size_t>(63 * 64 + d)], 0.0f, 1e-4);
  }
}

std::vector<KernelSet> integer_sets() {
  std::vector<KernelSet> sets;
  for (KernelSet set : tested_kernel_sets()) {
    if (set.integer == nullptr) continue;
    set.activation = DType::kF32;
    set.kv = DType::kI8;
    sets.push_back(set);
  }
  return sets;
}

INSTANTIATE_TEST_SUITE_P(Kernels, Int8AttentionTest, testing::ValuesIn(integer_sets()), kernel_set_name);

}  // namespace
}  // namespace qwen
