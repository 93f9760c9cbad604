// Matrix product over packed panels in plain f32: sums of kBlock pairs, then the sum of those, which keeps the rounding
// error of long rows near that of a pairwise sum.

template <typename X, typename W>
void matmul_of(const MatmulTask& t) {
  constexpr int kBlock = 64;
  for (int row = 0; row < t.rows; ++row) {
    const X* x = static_cast<const X*>(t.x) + row * t.x_stride;
    const W* panel = static_cast<const W*>(t.w);
    for (int column = 0; column < t.columns; column += kPanelRows, panel += panel_elements(t.pairs)) {
      float total[kPanelRows] = {};
      for (int begin = 0; begin < t.pairs; begin += kBlock) {
        const int end = begin + kBlock < t.pairs ? begin + kBlock : t.pairs;
        float sum[kPanelRows] = {};
        for (int pair = begin; pair < end; ++pair) {
          const float x0 = to_float(x[2 * pair]), x1 = to_float(x[2 * pair + 1]);
          const W* w = panel + static_cast<int64_t>(pair) * 2 * kPanelRows;
          for (int lane = 0; lane < kPanelRows; ++lane) {
            sum[lane] += x0 * to_float(w[2 * lane]) + x1 * to_float(w[2 * lane + 1]);
          }
        }
        for (int lane = 0; lane < kPanelRows; ++lane) total[lane] += sum[lane];
      }
      float* out = t.out + row * t.out_stride + column;
      for (int lane = 0; lane < kPanelRows && column + lane < t.columns; ++lane) {
        out[lane] = t.bias ? total[lane] + t.bias[column + lane] : total[lane];
      }
    }
  }
}

void matmul(const MatmulTask& t) {
  const bool bf16_x = t.x_type == DType::kBF16, bf16_w = t.w_type == DType::kBF16;
  if (bf16_x && bf16_w) return matmul_of<Bf16, Bf16>(t);
  if (bf16_x) return matmul_of<Bf16, float>(t);
  if (bf16_w) return matmul_of<float, Bf16>(t);
  return matmul_of<float, float>(t);
}
