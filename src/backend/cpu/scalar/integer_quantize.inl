// Rounding of one group, rotated by quant/hadamard.h.

float largest_magnitude(const float* v, int n) {
  float largest = 0;
  for (int i = 0; i < n; ++i) {
    if (!std::isfinite(v[i])) return std::numeric_limits<float>::infinity();
    largest = std::max(largest, std::fabs(v[i]));
  }
  return largest;
}

void quantize_row(const QuantizeRowTask& t) {
  for (int group = 0; group < integer_groups(t.cols); ++group) {
    Int8Activations& out = t.out[group];
    const int first = group * kIntegerGroup, count = std::min(kIntegerGroup, t.cols - first);
    float v[kIntegerGroup] = {};
    std::memcpy(v, t.in + first, static_cast<size_t>(count) * sizeof(float));
    rotate_group(v, count);
    const float largest = largest_magnitude(v, kIntegerGroup);
    out = {};
    if (std::isinf(largest)) out.scale = std::numeric_limits<float>::quiet_NaN();
    if (std::isinf(largest) || largest < kSmallestGroup) continue;
    out.scale = largest * (1.0f / kInt8Max);
    const float inverse = static_cast<float>(kInt8Max) / largest;
    for (int i = 0; i < kIntegerGroup; ++i) {
      out.q[i] = static_cast<int8_t>(std::nearbyint(v[i] * inverse));
      out.minus_sum -= out.q[i];
      out.minus_half_sums[i / kHalfGroup] -= out.q[i];
    }
  }
}

// Sums over a group run in 16 lanes, folded in halves at the end.
struct LaneSum {
  float lane[16] = {};
  void add(int i, float a, float b) { lane[i % 16] = std::fma(a, b, lane[i % 16]); }
  float total() {
    for (int n = 8; n > 0; n /= 2) {
      for (int i = 0; i < n; ++i) lane[i] += lane[i + n];
    }
    return lane[0];
  }
};

float int4_value(float v, float inverse) {
  return std::min(std::max(std::nearbyint(v * inverse), static_cast<float>(kInt4Min)), static_cast<float>(kInt4Max));
}

float round_to_bf16(float v) { return bf16_to_f32(f32_to_bf16(v)); }

float int4_error(const float* v, int n, float scale) {
  const float inverse = 1.0f / scale;
  LaneSum error;
  for (int i = 0; i < n; ++i) {
    const float difference = std::fma(-scale, int4_value(v[i], inverse), v[i]);
    error.add(i, difference, difference);
  }
  return error.total();
}

float least_squares_scale(const float* v, int n, float scale) {
  const float inverse = 1.0f / scale;
  LaneSum product, square;
  for (int i = 0; i < n; ++i) {
    const float q = int4_value(v[i], inverse);
    product.add(i, v[i], q);
    square.add(i, q, q);
  }
  return product.total() / square.total();
}

// `largest`: the group's largest magnitude. The first value that has it is put at the longer, negative end.
float int4_scale(const float* v, int n, float largest) {
  const float* const peak = std::find_if(v, v + n, [&](float x) { return std::fabs(x) == largest; });
  const float signed_peak = *peak < 0 ? largest : -largest;
  float best = 0, best_error = std::numeric_limits<float>::infinity();
  const auto consider = [&](float scale) {
    scale = round_to_bf16(scale);
    const float error = int4_error(v, n, scale);
    if (!(error < best_error)) return false;
    best = scale;
    best_error = error;
    return true;
  };
  for (int i = 0; i < kInt4Candidates; ++i) consider(signed_peak / (kInt4First + static_cast<float>(i) * kInt4Step));
  for (int i = 0; i < kInt4Refinements && consider(least_squares_scale(v, n, best)); ++i) {
  }
  return best;
}

// `n` rotated weights that share a scale. The search for int4's squares them: it is made with the largest magnitude
// between 1 and 4, by a power of two, which is exact both ways.
void quantize_part(const float* values, int n, int bits, uint8_t* out, uint16_t* scale_out) {
  const int offset = bits == 8 ? kInt8Offset : kInt4Offset;
  float largest = largest_magnitude(values, n);
  std::memset(out, offset, static_cast<size_t>(n));
  *scale_out = f32_to_bf16(std::isinf(largest) ? std::numeric_limits<float>::quiet_NaN() : 0.0f);
  if (std::isinf(largest) || largest < kSmallestGroup) return;
  const int exponent = bits == 8 ? 0 : std::min(std::ilogb(largest), 126);
  float v[kIntegerGroup];
  for (int i = 0; i < n; ++i) v[i] = std::ldexp(values[i], -exponent);
  largest = std::ldexp(largest, -exponent);
  const float scale = bits == 8 ? round_to_bf16(largest * (1.0f / kInt8Max)) : int4_scale(v, n, largest);
  *scale_out = f32_to_bf16(std::ldexp(scale, exponent));
  const float inverse = 1.0f / scale;
  for (int i = 0; i < n; ++i) {
    const float q = bits == 8 ? std::clamp(std::nearbyint(v[i] * inverse), -float{kInt8Max}, float{kInt8Max})
                              : int4_value(v[i], inverse);
    out[i] = static_cast<uint8_t>(static_cast<int>(q) + offset);
  }
}

void quantize_weights(const QuantizeWeightsTask& t) {
  rotate_group(t.values, t.count);
  for (int first = 0; first < kIntegerGroup; first += t.group_size)
    quantize_part(t.values + first, t.group_size, t.bits, t.q + first, t.scale + first / t.group_size);
}
