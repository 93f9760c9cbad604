// Matrix product of one panel: exact integer sums per group, one rounding per group after that.

int weight_at(const Int8Panel& panel, int input, int lane) {
  return int{panel.q[input / 4][lane][input % 4]} - kInt8Offset;
}
template <typename Panel>
int weight_at(const Panel& panel, int input, int lane) {
  const int pair = panel.q[input / 8][lane][input % 4];
  return (input % 8 < 4 ? pair & 15 : pair >> 4) - kInt4Offset;
}

// kParts panels make up a group of inputs.
template <typename Panel, int kParts = 1>
void matmul(const IntegerMatmulTask& t) {
  const Panel* const panel = static_cast<const Panel*>(t.w);
  for (int row = 0; row < t.rows; ++row) {
    const auto* const x =
        reinterpret_cast<const Int8Activations*>(static_cast<const char*>(t.x) + static_cast<size_t>(row) * t.x_stride);
    for (int lane = 0; lane < t.columns; ++lane) {
      float sum = 0;
      for (int group = 0; group < t.groups; ++group) {
        for (int part = 0; part < kParts; ++part) {
          constexpr int kInputs = kIntegerGroup / kParts;
          const Panel& weights = panel[group * kParts + part];
          int32_t product = 0;
          for (int i = 0; i < kInputs; ++i) product += x[group].q[part * kInputs + i] * weight_at(weights, i, lane);
          sum = std::fma(static_cast<float>(product), bf16_to_f32(weights.scales[lane]) * x[group].scale, sum);
        }
      }
      t.out[row * t.out_stride + lane] = t.bias ? sum + t.bias[lane] : sum;
    }
  }
}
