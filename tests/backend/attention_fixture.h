// Sequences that are stored and attended to step by step, and what plain softmax attention makes of them.
#pragma once

#include <algorithm>
#include <numeric>

#include "backend/backend_fixture.h"
#include "backend/cpu/int8_kv_layout.h"

namespace qwen {

// Every kernel set with its own type of KV cache and with int8.
inline std::vector<KernelSet> attention_kernel_sets() {
  static const std::vector<std::string> int8_names = [] {
    std::vector<std::string> names;
    for (const KernelSet& set : tested_kernel_sets()) names.push_back(std::string(set.name) + "_int8_kv");
    return names;
  }();
  std::vector<KernelSet> sets = tested_kernel_sets();
  const size_t count = sets.size();
  for (size_t i = 0; i < count; ++i) {
    sets.push_back(sets[i]);
    sets.back().name = int8_names[i];
    sets.back().kv = DType::kI8;
  }
  return sets;
}

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

  // A key or value as the cache's element type rounds it.
  std::vector<float> cached(const float* head, int head_dim) {
    std::vector<float> values(head, head + head_dim);
    if (kernels().kv == DType::kBF16) {
      for (float& v : values) v = bf16_to_f32(f32_to_bf16(v));
    }
    if (kernels().kv == DType::kI8) {
      Int8Activations groups[kMaxHeadGroups];
      kScalarIntegerKernels.quantize_row({head, groups, head_dim});
      for (int i = 0; i < head_dim; ++i) {
        const Int8Activations& group = groups[i / kIntegerGroup];
        values[static_cast<size_t>(i)] = group.scale * group.q[i % kIntegerGroup];
      }
      for (int i = 0; i < head_dim; i += kIntegerGroup)
        kScalarIntegerKernels.rotate(&values[static_cast<size_t>(i)], std::min(kIntegerGroup, head_dim - i));
    }
    return values;
  }

  // Plain softmax attention in double over what the cache holds, rows from first_row on.
  std::vector<float> expected(const HeadShape& heads, const Sequence& s, int length, int first_row = 0) {
    const int d = heads.head_dim, width = heads.qkv_size();
    std::vector<std::vector<float>> keys, values;  // [length][num_kv_heads]
    for (int key = 0; key < length; ++key) {
      for (int head = 0; head < heads.num_kv_heads; ++head) {
        const float* const k = &s.qkv[static_cast<size_t>(key * width + heads.q_size() + head * d)];
        keys.push_back(cached(k, d));
        values.push_back(cached(k + heads.kv_size(), d));
      }
    }
    std::vector<float> out;
    for (int row = first_row; row < length; ++row) {
      for (int head = 0; head < heads.num_heads; ++head) {
        const int kv_head = head / (heads.num_heads / heads.num_kv_heads);
        std::vector<double> scores, value(static_cast<size_t>(d));
        for (int key = 0; key <= row; ++key) {
          double sum = 0;
          for (int i = 0; i < d; ++i) {
            sum += static_cast<double>(s.qkv[static_cast<size_t>(row * width + head * d + i)]) *
                   keys[static_cast<size_t>(key * heads.num_kv_heads + kv_head)][static_cast<size_t>(i)];
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
                weight * values[static_cast<size_t>(key * heads.num_kv_heads + kv_head)][static_cast<size_t>(i)];
          }
        }
        for (const double v : value) out.push_back(static_cast<float>(v / length_sum));
      }
    }
    return out;
  }

  // Integer kernels round queries to 8 bits.
  double limit() const {
    if (kernels().kv == DType::kI8 && kernels().integer != nullptr) return 2e-2;
    return kernels().activation == DType::kBF16 ? 1e-2 : 5e-6;
  }
};

}  // namespace qwen
