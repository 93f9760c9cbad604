// RMSNorm, rotary embedding and SiLU, row by row.

float rms_scale(const float* x, int n, float eps) {
  double sum = 0;
  for (int i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * x[i];
  return static_cast<float>(1.0 / std::sqrt(sum / n + eps));
}

void rms_norm(const RmsNormTask& t) {
  double sum = 0;
  for (int i = 0; i < t.cols; ++i) {
    const float v = t.delta ? t.x[i] + t.delta[i] : t.x[i];
    if (t.residual) t.residual[i] = v;
    sum += static_cast<double>(v) * v;
  }
  const float scale = static_cast<float>(1.0 / std::sqrt(sum / t.cols + t.eps));
  const float* x = t.residual ? t.residual : t.x;
  for (int i = 0; i < t.cols; ++i) {
    const float v = t.delta && !t.residual ? x[i] + t.delta[i] : x[i];
    store(t.out, t.out_type, i, v * scale * t.weight[i]);
  }
}

void norm_rope(const NormRopeTask& t) {
  const float scale = rms_scale(t.head, t.head_dim, t.eps);
  const int half = t.head_dim / 2;
  for (int i = 0; i < half; ++i) {
    const float a = t.head[i] * scale * t.weight[i];
    const float b = t.head[i + half] * scale * t.weight[i + half];
    t.head[i] = a * t.cos[i] - b * t.sin[i];
    t.head[i + half] = b * t.cos[i] + a * t.sin[i];
  }
}

void silu_and_mul(const SiluMulTask& t) {
  for (int i = 0; i < t.n; ++i) {
    store(t.out, t.out_type, i, t.gate[i] / (1.0f + std::exp(-t.gate[i])) * t.up[i]);
  }
}
