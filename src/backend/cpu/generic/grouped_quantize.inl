// Rounding of activations for GPTQ and AWQ weights as quant/grouped_format.h has it: 16 blocks at a time, one in each
// lane, so that sums over a block go down the lanes in the scalar kernel's order and the bits are its.

constexpr int kBlocksAtOnce = 16;

// What becomes of each of 16 blocks.
struct GroupedRounding {
  float scale[kBlocksAtOnce], inverse[kBlocksAtOnce];
  int32_t largest[kBlocksAtOnce], sum[kBlocksAtOnce];
};

static void choose_rounding(const float* in, GroupedRounding* out) {
  F32x16 v[kGroupedBlock];
  for (int i = 0; i < kGroupedBlock; ++i) v[i] = load_strided(in + i);
  I32x16 bits = magnitude_bits(v[0]);
  for (int i = 1; i < kGroupedBlock; ++i) bits = max(bits, magnitude_bits(v[i]));
  const F32x16 largest = as_floats(bits), none = broadcast16(0.0f);
  F32x16 best = none, best_inverse = none, best_scale = none;
  for (int n = kInt8Max; n > kInt8Max - kGroupedLengths; --n) {
    const float steps = static_cast<float>(n);
    const F32x16 inverse = div(broadcast16(steps), largest);
    F32x16 product = none, square = none;
    for (int i = 0; i < kGroupedBlock; ++i) {
      const F32x16 t = mul(v[i], inverse), q = round_to_integer(t);
      product = fma(t, q, product);
      square = fma(q, q, square);
    }
    const F32x16 ratio = div(product, square);
    const F32x16 saved = mul(mul(product, ratio), broadcast16(1.0f / (steps * steps)));
    const F32x16 scale = mul(ratio, div(largest, broadcast16(steps)));
    best_inverse = where_greater(saved, best, inverse, best_inverse);
    best_scale = where_greater(saved, best, scale, best_scale);
    best = where_greater(saved, best, saved, best);
  }
  I32x16 sum = broadcast16(int32_t{0});
  for (int i = 0; i < kGroupedBlock; ++i) sum = add(sum, to_integers(mul(v[i], best_inverse)));
  store16(out->scale, best_scale);
  store16(out->inverse, best_inverse);
  store16(out->largest, bits);
  store16(out->sum, sum);
}

static void quantize_block(const float* in, float scale, float inverse, int32_t sum, GroupedActivations* out) {
  QWEN_UNROLL for (int i = 0; i < kGroupedBlock; i += 16)
      store_bytes(out->q + i, to_integers(mul(load16(in + i), broadcast16(inverse))));
  out->scale = scale;
  out->sum = scale * static_cast<float>(sum);
  out->start = -8 * sum;
}

// `in`: [kBlocksAtOnce][kGroupedBlock], of which `count` blocks are wanted.
static void quantize_blocks(const float* in, int count, GroupedActivations* out) {
  GroupedRounding rounding;
  choose_rounding(in, &rounding);
  for (int i = 0; i < count; ++i, in += kGroupedBlock, ++out) {
    const uint32_t bits = static_cast<uint32_t>(rounding.largest[i]);
    if (bits < kInfinityBits && from_bits(bits) >= kSmallestGroup) {
      quantize_block(in, rounding.scale[i], rounding.inverse[i], rounding.sum[i], out);
      continue;
    }
    __builtin_memset(out, 0, sizeof *out);
    if (bits >= kInfinityBits) out->scale = out->sum = from_bits(kNanBits);
  }
}

static void quantize_grouped_row(const GroupedQuantizeTask& t) {
  constexpr int kInputs = kBlocksAtOnce * kGroupedBlock;
  for (int first = 0; first < t.cols; first += kInputs) {
    const int count = t.cols - first < kInputs ? t.cols - first : kInputs;
    GroupedActivations* const out = t.out + first / kGroupedBlock;
    if (count == kInputs && t.order == nullptr) {
      quantize_blocks(t.in + first, kBlocksAtOnce, out);
      continue;
    }
    alignas(64) float some[kInputs] = {};
    for (int i = 0; i < count; ++i) some[i] = t.in[t.order ? t.order[first + i] : first + i];
    quantize_blocks(some, (count + kGroupedBlock - 1) / kGroupedBlock, out);
  }
}
