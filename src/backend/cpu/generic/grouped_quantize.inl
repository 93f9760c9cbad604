// Rounding of activations for GPTQ and AWQ weights as quant/grouped_format.h has it, 16 lanes at a time: the scalar
// kernel's operations in the scalar kernel's order, so that the bits are its.

constexpr int kBlockVectors = kGroupedBlock / 16;

static QWEN_INLINE void quantize_block(const float* in, GroupedActivations* out) {
  Vectors<kBlockVectors> v = load_group<kBlockVectors>(in);
  const uint32_t bits = largest_bits(v);
  const float largest = from_bits(bits);
  float scale = largest * (1.0f / kInt8Max), inverse = static_cast<float>(kInt8Max) / largest;
  if (bits >= kInfinityBits || largest < kSmallestGroup) {
    scale = from_bits(bits >= kInfinityBits ? kNanBits : 0);
    inverse = 0;
    for (F32x16& part : v.v) part = broadcast16(0.0f);
  }
  I32x16 sums = broadcast16(int32_t{0});
  QWEN_UNROLL for (int i = 0; i < kBlockVectors; ++i) {
    const I32x16 q = to_integers(mul(v.v[i], broadcast16(inverse)));
    store_bytes(out->q + 16 * i, q);
    sums = add(sums, q);
  }
  const int32_t sum = sum_lanes(sums);
  out->scale = scale;
  out->sum = scale * static_cast<float>(sum);
  out->minus_sum = -sum;
}

static void quantize_grouped_row(const GroupedQuantizeTask& t) {
  const int whole = t.cols / kGroupedBlock, rest = t.cols % kGroupedBlock;
  alignas(64) float block[kGroupedBlock] = {};
  for (int i = 0; i < whole; ++i) {
    const int first = i * kGroupedBlock;
    if (t.order == nullptr) {
      quantize_block(t.in + first, t.out + i);
      continue;
    }
    for (int j = 0; j < kGroupedBlock; ++j) block[j] = t.in[t.order[first + j]];
    quantize_block(block, t.out + i);
  }
  if (rest == 0) return;
  const int first = whole * kGroupedBlock;
  for (int j = 0; j < kGroupedBlock; ++j) block[j] = j >= rest ? 0 : t.in[t.order ? t.order[first + j] : first + j];
  quantize_block(block, t.out + whole);
}
