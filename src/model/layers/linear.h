// A linear layer: y = x·Wᵀ (+ bias).
#pragma once

#include <optional>

#include "backend/backend.h"

namespace qwen {

struct Linear {
  Matrix weight;
  std::optional<Tensor> bias;  // [rows of weight]

  // Before anything writes what `forward` reads: `in` takes the form that the weights want.
  void will_read(Backend& backend, MatmulInput& in) const { backend.set_reader(in, weight); }
  void forward(Backend& backend, Tensor& out, const MatmulInput& in, int rows) const {
    backend.matmul(out, in, weight, bias ? &*bias : nullptr, rows);
  }
};

}  // namespace qwen
