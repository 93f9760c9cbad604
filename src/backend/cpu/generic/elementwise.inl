// RMSNorm, rotary embedding and SiLU, one row or head at a time. Sums run over kSums vectors of partial sums in an
// order that the row's length alone decides.

constexpr int kSums = 4;

static inline float rms_scale(float sum_of_squares, int n, float eps) {
  return 1.0f / __builtin_sqrtf(sum_of_squares / static_cast<float>(n) + eps);
}

static inline float total(const F32 (&sums)[kSums]) {
  return sum_lanes(add(add(sums[0], sums[1]), add(sums[2], sums[3])));
}

template <typename Out>
static void rms_norm_to(Out* out, const RmsNormTask& t) {
  F32 sums[kSums] = {zero(), zero(), zero(), zero()};
  const auto value = [&](int i, int n) {
    const F32 x = n < kLanes ? load_first(t.x + i, n) : load(t.x + i);
    if (t.delta == nullptr) return x;
    return add(x, n < kLanes ? load_first(t.delta + i, n) : load(t.delta + i));
  };
  const int whole = t.cols / kLanes * kLanes, rest = t.cols - whole;
  const auto visit = [&](int i, int n, F32& sum) {
    const F32 v = value(i, n);
    if (t.residual != nullptr) n < kLanes ? store_first(t.residual + i, v, n) : store(t.residual + i, v);
    sum = fma(v, v, sum);
  };
  int i = 0;
  for (; i + kSums * kLanes <= whole; i += kSums * kLanes) {
    for (int s = 0; s < kSums; ++s) visit(i + s * kLanes, kLanes, sums[s]);
  }
  for (; i < whole; i += kLanes) visit(i, kLanes, sums[0]);
  if (rest > 0) visit(whole, rest, sums[1]);

  const F32 scale = broadcast(rms_scale(total(sums), t.cols, t.eps));
  const auto again = [&](int j, int n) {
    if (t.residual == nullptr) return value(j, n);
    return n < kLanes ? load_first(t.residual + j, n) : load(t.residual + j);
  };
  for (int j = 0; j < whole; j += kLanes)
    store_operands(out + j, mul(mul(again(j, kLanes), scale), load(t.weight + j)));
  if (rest > 0) {
    store_operands_first(out + whole, mul(mul(again(whole, rest), scale), load_first(t.weight + whole, rest)), rest);
  }
}

static void rms_norm(const RmsNormTask& t) {
  if (t.out_type == DType::kF32) return rms_norm_to(static_cast<float*>(t.out), t);
  rms_norm_to(static_cast<Operand*>(t.out), t);
}

static void norm_rope(const NormRopeTask& t) {
  F32 sums[kSums] = {zero(), zero(), zero(), zero()};
  int s = 0;
  for (int i = 0; i < t.head_dim; i += kLanes, s = (s + 1) % kSums) {
    const int n = t.head_dim - i;
    const F32 v = n < kLanes ? load_first(t.head + i, n) : load(t.head + i);
    sums[s] = fma(v, v, sums[s]);
  }
  const F32 scale = broadcast(rms_scale(total(sums), t.head_dim, t.eps));
  const int half = t.head_dim / 2;
  for (int i = 0; i < half; i += kLanes) {
    const int n = half - i;
    const auto at = [&](const float* p) { return n < kLanes ? load_first(p + i, n) : load(p + i); };
    const F32 a = mul(mul(at(t.head), scale), at(t.weight));
    const F32 b = mul(mul(at(t.head + half), scale), at(t.weight + half));
    const F32 c = at(t.cos), d = at(t.sin);
    const F32 low = fnma(b, d, mul(a, c)), high = fma(a, d, mul(b, c));
    if (n < kLanes) {
      store_first(t.head + i, low, n);
      store_first(t.head + half + i, high, n);
    } else {
      store(t.head + i, low);
      store(t.head + half + i, high);
    }
  }
}

template <typename Out>
static void silu_and_mul_to(Out* out, const SiluMulTask& t) {
  const auto value = [](F32 gate, F32 up) { return mul(div(gate, add(broadcast(1.0f), exp(sub(zero(), gate)))), up); };
  int i = 0;
  for (; i + kLanes <= t.n; i += kLanes) store_operands(out + i, value(load(t.gate + i), load(t.up + i)));
  if (const int n = t.n - i; n > 0)
    store_operands_first(out + i, value(load_first(t.gate + i, n), load_first(t.up + i, n)), n);
}

static void silu_and_mul(const SiluMulTask& t) {
  if (t.out_type == DType::kF32) return silu_and_mul_to(static_cast<float*>(t.out), t);
  silu_and_mul_to(static_cast<Operand*>(t.out), t);
}
