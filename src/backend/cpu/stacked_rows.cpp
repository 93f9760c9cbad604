// See stacked_rows.h.
#include "backend/cpu/stacked_rows.h"

#include <limits>

#include "base/error.h"
#include "quant/dequantize.h"

namespace qwen {

int check_stack(std::span<const HostMatrix> stacked) {
  if (stacked.empty()) throw Error(ErrorCode::kInternal, "no matrix to prepare");
  int64_t rows = 0;
  for (const HostMatrix& m : stacked) {
    constexpr int64_t kMaxDim = std::numeric_limits<int32_t>::max() / 2;
    if (m.rows < 1 || m.cols < 1 || m.rows > kMaxDim || m.cols > kMaxDim)
      throw Error(ErrorCode::kBadData, str("weights of [", m.rows, ", ", m.cols, "]"));
    check_matrix(m, "weights");
    if (m.cols != stacked[0].cols) {
      throw Error(ErrorCode::kBadData,
                  str("stacked weights with ", stacked[0].cols, " and ", m.cols, " input features"));
    }
    rows += m.rows;
    if (rows > kMaxDim) throw Error(ErrorCode::kBadData, str("weights with ", rows, " rows"));
  }
  return static_cast<int>(rows);
}

}  // namespace qwen
