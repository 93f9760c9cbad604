// GPTQ and AWQ weights: rounding of activations and the matrix product of one panel, spelled out.

void quantize_grouped_block(const float* v, GroupedActivations& out) {
  const float largest = largest_magnitude(v, kGroupedBlock);
  out = {};
  if (std::isinf(largest)) out.scale = out.sum = std::numeric_limits<float>::quiet_NaN();
  if (std::isinf(largest) || largest < kSmallestGroup) return;
  float best = 0, best_inverse = 0;
  for (int n = kInt8Max; n > kInt8Max - kGroupedLengths; --n) {
    const float steps = static_cast<float>(n), inverse = steps / largest;
    float product = 0, square = 0;
    for (int i = 0; i < kGroupedBlock; ++i) {
      const float t = v[i] * inverse, q = std::nearbyint(t);
      product = std::fma(t, q, product);
      square = std::fma(q, q, square);
    }
    const float ratio = product / square, saved = product * ratio * (1.0f / (steps * steps));
    if (!(saved > best)) continue;
    best = saved;
    best_inverse = inverse;
    out.scale = ratio * (largest / steps);
  }
  int sum = 0;
  for (int i = 0; i < kGroupedBlock; ++i) {
    out.q[i] = static_cast<int8_t>(std::nearbyint(v[i] * best_inverse));
    sum += out.q[i];
  }
  out.sum = out.scale * static_cast<float>(sum);
  out.start = -8 * sum;
}

void quantize_grouped_row(const GroupedQuantizeTask& t) {
  for (int block = 0; block < grouped_blocks(t.cols); ++block) {
    const int first = block * kGroupedBlock, count = std::min(kGroupedBlock, t.cols - first);
    float v[kGroupedBlock] = {};
    for (int i = 0; i < count; ++i) v[i] = t.in[t.order ? t.order[first + i] : first + i];
    quantize_grouped_block(v, t.out[block]);
  }
}

// The integer of input `i` of a block, less the middle of its range.
template <int kBits>
int grouped_weight(const uint8_t* block, int lane, int i) {
  if constexpr (kBits == 8) return int{block[(i / 4 * kPanelRows + lane) * 4 + i % 4]} - 128;
  const int pair = block[(i / 8 * kPanelRows + lane) * 4 + i % 4];
  return (i % 8 < 4 ? pair & 15 : pair >> 4) - 8;
}

template <typename T>
T element_at(const uint8_t* p, int index) {
  T value;
  std::memcpy(&value, p + static_cast<size_t>(index) * sizeof(T), sizeof(T));
  return value;
}

template <int kBits>
void grouped_matmul(const GroupedMatmulTask& t) {
  for (int row = 0; row < t.rows; ++row) {
    const auto* const x = reinterpret_cast<const GroupedActivations*>(static_cast<const char*>(t.x) +
                                                                      static_cast<size_t>(row) * t.x_stride);
    for (int lane = 0; lane < t.columns; ++lane) {
      const uint8_t* w = static_cast<const uint8_t*>(t.w);
      float y = 0;
      for (int first = 0; first < t.blocks; first += t.group_blocks) {
        const float scale = t.wide_scales ? element_at<float>(w, lane) : f16_to_f32(element_at<uint16_t>(w, lane));
        w += grouped_scale_bytes(t.wide_scales);
        float zero = 0;
        if (t.zero_points) {
          zero = f16_to_f32(element_at<uint16_t>(w, lane));
          w += kPanelRows * sizeof(uint16_t);
        }
        float group = 0, sum = 0;
        for (int block = first; block < std::min(first + t.group_blocks, t.blocks); ++block) {
          int32_t product = 0;
          for (int i = 0; i < kGroupedBlock; ++i) product += x[block].q[i] * grouped_weight<kBits>(w, lane, i);
          group = std::fma(static_cast<float>(product), x[block].scale, group);
          sum += x[block].sum;
          w += grouped_block_bytes(kBits);
        }
        if (t.zero_points) group = std::fma(-zero, sum, group);
        y = std::fma(group, scale, y);
      }
      t.out[row * t.out_stride + lane] = t.bias ? y + t.bias[lane] : y;
    }
  }
}
