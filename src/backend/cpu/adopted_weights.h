// Packed weights as they come back from a file.
#pragma once

#include "backend/matrix.h"
#include "quant/host_matrix.h"

namespace qwen {

// A matrix over bytes that stay where they are. `bytes_of`: how many a matrix of (format, rows, cols) takes. Errors:
// kBadData where they are not as many, or misaligned.
Matrix adopt_weights(const HostMatrix& packed, size_t (*bytes_of)(const QuantFormat&, int64_t rows, int64_t cols));

}  // namespace qwen
