// The scalar kernels: plain loops, f32 arithmetic, any mixture of element types. They are the specification that every
// other table is tested against, and the `reference` kernels, which keep weights, activations and, unless told
// otherwise, the KV cache at the checkpoint's precision.
#include <cmath>
#include <cstring>
#include <limits>

#include "backend/cpu/int8_kv_layout.h"
#include "backend/cpu/kernel_table.h"
#include "backend/cpu/layouts.h"
#include "base/dtype.h"
#include "quant/hadamard.h"

namespace qwen {
namespace {

struct Bf16 {
  uint16_t bits;
};
float to_float(float value) { return value; }
float to_float(Bf16 value) { return bf16_to_f32(value.bits); }

void store(void* out, DType type, int64_t index, float value) {
  if (type == DType::kBF16) {
    static_cast<uint16_t*>(out)[index] = f32_to_bf16(value);
  } else {
    static_cast<float*>(out)[index] = value;
  }
}

// In this order: each is written in terms of those before it.
// clang-format off
#include "backend/cpu/scalar/kv_token.inl"
#include "backend/cpu/scalar/attention.inl"
#include "backend/cpu/scalar/elementwise.inl"
#include "backend/cpu/scalar/matmul.inl"
// clang-format on

uint64_t probe_read(const void* data, size_t bytes) {
  const uint64_t* words = static_cast<const uint64_t*>(data);
  uint64_t sum[8] = {};
  for (size_t i = 0; i + 8 <= bytes / sizeof(uint64_t); i += 8) {
    for (size_t lane = 0; lane < 8; ++lane) sum[lane] += words[i + lane];
  }
  uint64_t total = 0;
  for (const uint64_t lane : sum) total += lane;
  return total;
}

double probe_dot(int64_t rounds) {
  float sum[32];
  for (int i = 0; i < 32; ++i) sum[i] = static_cast<float>(i);
  volatile float factor = 0.5f;
  const float x = factor;
  for (int64_t round = 0; round < rounds; ++round) {
    for (float& lane : sum) lane = lane * x + x;
  }
  for (const float lane : sum) factor = lane;
  return static_cast<double>(rounds) * 32 * 2;
}

}  // namespace

const KernelTable kScalarKernels = {
    .matmul = matmul,
    .rms_norm = rms_norm,
    .norm_rope = norm_rope,
    .silu_and_mul = silu_and_mul,
    .attention = attention,
    .attention_merge = attention_merge,
    .attention_finish = attention_finish,
    .probe_read = probe_read,
    .probe_dot = probe_dot,
};

}  // namespace qwen
