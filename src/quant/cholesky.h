// Cholesky factorization of large matrices in double precision, in blocks over a thread pool.
#pragma once

#include <cstdint>

#include "base/thread_pool.h"

namespace qwen {

// The symmetric A [n, n], of which the lower triangle is read, becomes its factor L there, A = L·Lᵀ; what lies above
// the diagonal is left alone. False where A is not positive definite (or not finite); it is then unusable. Every
// element is one sum in ascending order, whatever the number of threads.
bool cholesky(double* a, int64_t n, ThreadPool& pool);

}  // namespace qwen
