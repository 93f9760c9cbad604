// What GPTQ needs to know about the inputs of a linear layer: H = Σ x·xᵀ over calibration tokens, damped, as U·D·Uᵀ
// with U unit upper triangular.
//
// The error that rounding weights w to ŵ makes in the layer's outputs is e·H·eᵀ = Σ D_k · (e·U)_k², e = w - ŵ. Rounding
// inputs in ascending order, (e·U)_k = w_k + Σ_{j<k} e_j · U_jk - ŵ_k: what is best for input k is w_k plus that
// feedback of earlier errors, rounded. These are the numbers of GPTQ (Frantar et al. 2022), which spreads every error
// over the inputs to come by the Cholesky factor of H⁻¹: U is the inverse of that factor, made unit (Chee et al. 2023,
// QuIP, theorem 6), and this way needs one factorization and no inverse.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/thread_pool.h"

namespace qwen {

struct HessianOptions {
  double damp_percent = 0.01;  // of the mean diagonal, added to it; tenfold until H can be factored
  bool act_order = false;      // inputs with the largest diagonal first, instead of as they stand
};

class HessianFactor {
 public:
  // `gram` [n, n] is Σ x·xᵀ, of which the lower triangle is read. Inputs that are always zero take part as if they were
  // small: their weights are rounded plainly. Errors: kBadData where numbers are not finite.
  HessianFactor(std::span<const float> gram, int64_t n, const HessianOptions& options, ThreadPool& pool);

  int64_t size() const { return static_cast<int64_t>(order_.size()); }
  std::span<const int32_t> order() const { return order_; }                        // place → input
  const float* row(int64_t place) const { return unit_.data() + place * size(); }  // of U, used right of the diagonal
  std::span<const float> weights() const { return diagonal_; }                     // D, by place
  double damp_percent() const { return damp_percent_; }                            // that was needed

 private:
  std::vector<int32_t> order_;
  std::vector<float> unit_;  // [n, n] in places
  std::vector<float> diagonal_;
  double damp_percent_;
};

}  // namespace qwen
