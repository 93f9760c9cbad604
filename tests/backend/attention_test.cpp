#include "backend/attention_fixture.h"

namespace qwen {
namespace {

TEST_P(AttentionTest, EqualsPlainSoftmaxForEveryHeadShape) {
  CpuBackend backend(kernels(), 2);
  for (const int head_dim : {2, 8, 16, 20, 32, 48, 64, 80, 96, 128, 160, 256}) {
    for (const int group : {1, 2, 4, 5, 8}) {
      SCOPED_TRACE(str("head_dim ", head_dim, ", group ", group));
      const HeadShape heads{2 * group, 2, head_dim};
      const int length = pick(1, 140);
      Sequence s = make_sequence(heads, length);
      Cache cache = make_cache(backend, heads, 12, 64);
      EXPECT_LT(relative_error(whole(backend, cache, s, length), expected(heads, s, length)), limit()) << length;
    }
  }
}

TEST_P(AttentionTest, EqualsPlainSoftmaxAtTheEdgesOfTilesAndPartitions) {
  CpuBackend backend(kernels(), 2);
  const HeadShape heads{4, 1, 32};
  for (const int length : {1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 1023, 1024, 1025, 2100}) {
    SCOPED_TRACE(length);
    Sequence s = make_sequence(heads, length);
    // A few keys that stand out, so that the running maximum moves late.
    for (int i = 0; i < length; i += 37) {
      for (int d = 0; d < 32; ++d)
        s.qkv[static_cast<size_t>(i * heads.qkv_size() + heads.q_size() + d)] *= 1 + 0.01f * static_cast<float>(i);
    }
    Cache cache = make_cache(backend, heads, 40, 64);
    std::vector<float> got = whole(backend, cache, s, length);
    const int first_row = std::max(0, length - 70);  // the others are those of the shorter lengths
    got.erase(got.begin(), got.begin() + first_row * heads.q_size());
    EXPECT_LT(relative_error(got, expected(heads, s, length, first_row)), limit());
  }
}

TEST_P(AttentionTest, TokenByTokenChunkedAndWholeAreTheSameBits) {
  for (const HeadShape heads : {HeadShape{4, 1, 32}, HeadShape{5, 1, 24}, HeadShape{2, 2, 128}}) {
    const int length = 1090;
    Sequence s = make_sequence(heads, length);
    CpuBackend one(kernels(), 1);
    Cache cache = make_cache(one, heads, 80, 64);
    const std::vector<float> want = whole(one, cache, s, length);
    for (const int mode : {0, 1, 2}) {  // token by token, random chunks, random chunks in larger blocks
      CpuBackend backend(kernels(), 2 + mode);
      Cache other = make_cache(backend, heads, 80, mode == 2 ? 192 : 64);
      Sequence again = s;
      std::vector<float> got;
      while (again.computed < length) {
        const int n = mode == 0 ? 1 : std::min(pick(1, 200), length - again.computed);
        const std::vector<float> rows = step(backend, other, {&again}, {n});
        got.insert(got.end(), rows.begin(), rows.end());
      }
      ASSERT_EQ(got.size(), want.size());
      EXPECT_EQ(std::memcmp(got.data(), want.data(), got.size() * sizeof(float)), 0) << "mode " << mode;
    }
  }
}

// 1 to 4 threads, few rows and long contexts: the partitions of a row are computed by different threads, and as many
// heads at once as there are threads to keep busy.
TEST_P(AttentionTest, SplitOverThreadsIsTheSameBits) {
  for (const HeadShape heads : {HeadShape{2, 1, 32}, HeadShape{12, 6, 32}, HeadShape{40, 2, 16}}) {
    const int length = 3 * kPartition + 77;
    Sequence s = make_sequence(heads, length);
    std::vector<float> want;
    for (int threads = 1; threads <= 4; ++threads) {
      CpuBackend backend(kernels(), threads);
      Cache cache = make_cache(backend, heads, 60, 64);
      Sequence copy = s;
      step(backend, cache, {&copy}, {length - 2}, false);
      std::vector<float> got = step(backend, cache, {&copy}, {2});
      if (threads == 1) {
        const std::vector<float> plain = expected(heads, s, length, length - 2);
        EXPECT_LT(relative_error(got, plain), limit());
        want = got;
      }
      EXPECT_EQ(std::memcmp(got.data(), want.data(), got.size() * sizeof(float)), 0) << threads;
    }
  }
}

TEST_P(AttentionTest, ASequenceDoesNotDependOnItsNeighbours) {
  const HeadShape heads{8, 2, 48};
  CpuBackend backend(kernels(), 3);
  std::vector<Sequence> sequences;
  std::vector<std::vector<float>> alone;
  const std::vector<int> lengths = {1, 200, 64, 65, 31, 1030};
  for (const int length : lengths) {
    sequences.push_back(make_sequence(heads, length));
    Cache cache = make_cache(backend, heads, 70, 64);
    alone.push_back(whole(backend, cache, sequences.back(), length));
  }
  Cache cache = make_cache(backend, heads, 100, 64);
  std::vector<std::vector<float>> together(sequences.size());
  while (true) {  // every sequence takes part with a random number of its tokens
    std::vector<Sequence*> batch;
    std::vector<int> counts;
    std::vector<size_t> index;
    for (size_t i = 0; i < sequences.size(); ++i) {
      const int rest = lengths[i] - sequences[i].computed;
      if (rest == 0) continue;
      batch.push_back(&sequences[i]);
      counts.push_back(std::min(rest, pick(1, 150)));
      index.push_back(i);
    }
    if (batch.empty()) break;
    const std::vector<float> rows = step(backend, cache, batch, counts);
    auto row = rows.begin();
    for (size_t b = 0; b < batch.size(); ++b) {
      const auto end = row + counts[b] * heads.q_size();
      together[index[b]].insert(together[index[b]].end(), row, end);
      row = end;
    }
  }
  for (size_t i = 0; i < sequences.size(); ++i) {
    ASSERT_EQ(together[i].size(), alone[i].size());
    EXPECT_EQ(std::memcmp(together[i].data(), alone[i].data(), alone[i].size() * sizeof(float)), 0) << i;
  }
}

TEST_P(AttentionTest, BlocksAndHeadsOutOfRangeAreErrors) {
  CpuBackend backend(kernels(), 1);
  EXPECT_THROW(backend.alloc_kv(kernels().kv, 4, 32, {2, 1, 32}), Error);
  EXPECT_THROW(backend.alloc_kv(kernels().kv, 4, 64, {2, 1, 33}), Error);
  EXPECT_THROW(backend.alloc_kv(kernels().kv, 4, 64, {2, 1, 512}), Error);
  EXPECT_THROW(backend.alloc_kv(kernels().kv, 4, 64, {3, 2, 32}), Error);
  EXPECT_THROW(backend.alloc_kv(DType::kF16, 4, 64, {2, 1, 32}), Error);
  EXPECT_EQ(backend.kv_bytes_per_token(DType::kBF16, {32, 8, 128}), 8u * 128 * 2 * 2);
  EXPECT_EQ(backend.kv_bytes_per_token(DType::kI8, {32, 8, 128}), 8u * (128 + 4) * 2);
  EXPECT_EQ(backend.kv_bytes_per_token(DType::kI8, {2, 1, 256}), (256u + 8) * 2);
}

INSTANTIATE_TEST_SUITE_P(Kernels, AttentionTest, testing::ValuesIn(attention_kernel_sets()), kernel_set_name);

}  // namespace
}  // namespace qwen
