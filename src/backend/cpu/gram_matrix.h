// Σ xᵀ·x over rows of activations, by the matrix product of the kernels: the columns are both its rows and its weights.
#pragma once

#include <cstddef>

#include "backend/cpu/kernel_table.h"
#include "base/dtype.h"
#include "base/thread_pool.h"

namespace qwen {

// As a MatmulInput holds them (layouts.h): kF32 or kBF16.
struct ActivationRows {
  const std::byte* data;
  DType dtype;
  int rows;
  int cols;
};

// gram [cols, cols] += xᵀ·x in its lower triangle, x rounded to bf16; what lies above the diagonal is not defined.
// Allocates about 4 · rows · cols bytes.
void add_gram_matrix(float* gram, const ActivationRows& x, const KernelTable& kernels, ThreadPool& pool);

}  // namespace qwen
