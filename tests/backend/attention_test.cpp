#include <algorithm>
#include <numeric>

#include "backend/backend_fixture.h"
#include "backend/cpu/layouts.h"

namespace qwen {
namespace {

// Sequences of one batch in a paged cache whose memory an earlier user has left full of NaNs.
class AttentionTest : public KernelTest {
 protected:
  struct Sequence {
    std::vector<float> qkv;  // [length, heads.qkv_size()]
    std::vector<int32_t> blocks;
    int computed = 0;
  };

  Sequence make_sequence(const HeadShape& heads, int length) {
    return {random(static_cast<size_t>(length * heads.qkv_size())), {}, 0};
  }

  struct Cache {
    KvLayer kv;
    std::vector<int32_t> free_blocks;
  };

  // Everything but the padding of the head dimension is NaN.
  Cache make_cache(CpuBackend& backend, const HeadShape& heads, int num_blocks, int block_size) {
    Cache cache{backend.alloc_kv(kernels().kv, num_blocks, block_size, heads), {}};
    const int slots = num_blocks * block_size;
    const Tensor nan = tensor_of(backend, {slots, heads.qkv_size()},
                                 std::vector<float>(static_cast<size_t>(slots * heads.qkv_size()), NAN));
    std::vector<int32_t> all(static_cast<size_t>(slots));
    std::iota(all.begin(), all.end(), 0);
    backend.store_kv(cache.kv, nan, all);
    cache.free_blocks.resize(static_cast<size_t>(num_blocks));
    std::iota(cache.free_blocks.begin(), cache.free_blocks.end(), 0);
    std::shuffle(cache.free_blocks.begin(), cache.free_blocks.end(), random_);
    return cache;
  }

  // One step: the next counts[i] tokens of every sequence. Returns the attention rows, [total, q_size], as f32.
  std::vector<float> step(CpuBackend& backend, Cache& cache, std::vector<Sequence*> sequences,
                          const std::vector<int>& counts, bool attend = true) {
    const HeadShape& heads = cache.kv.heads;
    const int block_size = cache.kv.block_size;
    std::vector<int32_t> query_start = {0}, context_lens, slots;
    std::vector<float> qkv;
    size_t max_blocks = 1;
    for (size_t i = 0; i < sequences.size(); ++i) {
      Sequence& s = *sequences[i];
      for (int n = 0; n < counts[i]; ++n, ++s.computed) {
        if (s.computed % block_size == 0) {
          s.blocks.push_back(cache.free_blocks.back());
          cache.free_blocks.pop_back();
        }
        slots.push_back(s.blocks.back() * block_size + s.computed % block_size);
        const auto row = s.qkv.begin() + static_cast<std::ptrdiff_t>(s.computed) * heads.qkv_size();
        qkv.insert(qkv.end(), row, row + heads.qkv_size());
      }
      query_start.push_back(query_start.back() + counts[i]);
      context_lens.push_back(s.computed);
      max_blocks = std::max(max_blocks, s.blocks.size());
    }
    std::vector<int32_t> tables(sequences.size() * max_blocks, -1);
    for (size_t i = 0; i < sequences.size(); ++i) {
      std::copy(sequences[i]->blocks.begin(), sequences[i]->blocks.end(),
                tables.begin() + static_cast<std::ptrdiff_t>(i * max_blocks));
    }
    const int rows = query_start.back();
    const Tensor input = tensor_of(backend, {rows, heads.qkv_size()}, qkv);
    backend.store_kv(cache.kv, input, slots);
    if (!attend) return {};
    MatmulInput out = backend.alloc_matmul_input(rows, heads.q_size(), {});
    backend.paged_attention(out, input, cache.kv, {query_start, context_lens, tables, static_cast<int>(max_blocks)});
    std::vector<float> values;
    const size_t stride = row_stride(out);
    for (int row = 0; row < rows; ++row) {
      for (int col = 0; col < heads.q_size(); ++col) {
        const size_t i = static_cast<size_t>(row) * stride + static_cast<size_t>(col);
        values.push_back(kernels().activation == DType::kBF16 ? bf16_to_f32(out.buffer.as<uint16_t>()[i])
                                                              : out.buffer.as<float>()[i]);
      }
    }
    return values;
  }

  std::vector<float> whole(CpuBackend& backend, Cache& cache, Sequence sequence, int length) {
    return step(backend, cache, {&sequence}, {length});
  }

  // Plain softmax attention in double, rows from first_row on; keys and values as the cache's element type rounds them.
  std::vector<float> expected(const HeadShape& heads, const Sequence& s, int length, int first_row = 0) {
    const auto cached = [&](float v) { return kernels().kv == DType::kBF16 ? bf16_to_f32(f32_to_bf16(v)) : v; };
    const int d = heads.head_dim, width = heads.qkv_size();
    std::vector<float> out;
    for (int row = first_row; row < length; ++row) {
      for (int head = 0; head < heads.num_heads; ++head) {
        const int kv_head = head / (heads.num_heads / heads.num_kv_heads);
        std::vector<double> scores, value(static_cast<size_t>(d));
        for (int key = 0; key <= row; ++key) {
          double sum = 0;
          for (int i = 0; i < d; ++i) {
            sum += static_cast<double>(s.qkv[static_cast<size_t>(row * width + head * d + i)]) *
                   cached(s.qkv[static_cast<size_t>(key * width + heads.q_size() + kv_head * d + i)]);
          }
          scores.push_back(sum / std::sqrt(d));
        }
        const double largest = *std::max_element(scores.begin(), scores.end());
        double length_sum = 0;
        for (int key = 0; key <= row; ++key) {
          const double weight = std::exp(scores[static_cast<size_t>(key)] - largest);
          length_sum += weight;
          for (int i = 0; i < d; ++i) {
            value[static_cast<size_t>(i)] +=
                weight *
                cached(s.qkv[static_cast<size_t>(key * width + heads.q_size() + heads.kv_size() + kv_head * d + i)]);
          }
        }
        for (const double v : value) out.push_back(static_cast<float>(v / length_sum));
      }
    }
    return out;
  }

  double limit() const { return kernels().activation == DType::kBF16 ? 1e-2 : 3e-6; }
};

TEST_P(AttentionTest, EqualsPlainSoftmaxForEveryHeadShape) {
  CpuBackend backend(kernels(), 2);
  for (const int head_dim : {2, 8, 16, 20, 32, 48, 64, 80, 96, 128, 160, 256}) {
    for (const int group : {1, 2, 4, 5, 8}) {
      SCOPED_TRACE(str("head_dim ", head_dim, ", group ", group));
      const HeadShape heads{2 * group, 2, head_dim};
      const int length = pick(1, 140);
      Sequence s = make_sequence(heads, length);
      Cache cache = make_cache(backend, heads, 12, 16);
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
    Cache cache = make_cache(one, heads, 80, 16);
    const std::vector<float> want = whole(one, cache, s, length);
    for (const int mode : {0, 1, 2}) {  // token by token, random chunks, random chunks in larger blocks
      CpuBackend backend(kernels(), 2 + mode);
      Cache other = make_cache(backend, heads, 80, mode == 2 ? 64 : 32);
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

// 1 to 4 threads, few rows and long contexts: the partitions of a row are computed by different threads.
TEST_P(AttentionTest, SplitOverThreadsIsTheSameBits) {
  const HeadShape heads{2, 1, 32};
  const int length = 3 * kPartition + 77;
  Sequence s = make_sequence(heads, length);
  std::vector<float> want;
  for (int threads = 1; threads <= 4; ++threads) {
    CpuBackend backend(kernels(), threads);
    Cache cache = make_cache(backend, heads, 60, 64);
    Sequence copy = s;
    step(backend, cache, {&copy}, {length - 1}, false);
    const std::vector<float> got = step(backend, cache, {&copy}, {1});
    if (threads == 1) want = got;
    EXPECT_EQ(std::memcmp(got.data(), want.data(), got.size() * sizeof(float)), 0) << threads;
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
    Cache cache = make_cache(backend, heads, 70, 16);
    alone.push_back(whole(backend, cache, sequences.back(), length));
  }
  Cache cache = make_cache(backend, heads, 100, 16);
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
  EXPECT_THROW(backend.alloc_kv(kernels().kv, 4, 8, {2, 1, 32}), Error);
  EXPECT_THROW(backend.alloc_kv(kernels().kv, 4, 16, {2, 1, 33}), Error);
  EXPECT_THROW(backend.alloc_kv(kernels().kv, 4, 16, {2, 1, 512}), Error);
  EXPECT_THROW(backend.alloc_kv(kernels().kv, 4, 16, {3, 2, 32}), Error);
  EXPECT_THROW(backend.alloc_kv(DType::kI8, 4, 16, {2, 1, 32}), Error);
  EXPECT_EQ(backend.kv_bytes_per_token(DType::kBF16, {32, 8, 128}), 8u * 128 * 2 * 2);
}

QWEN_FOR_EVERY_KERNEL_SET(AttentionTest);

}  // namespace
}  // namespace qwen
