#include "quant/matrix_parts.h"

#include "base/error.h"

namespace qwen {

int64_t num_groups(const HostMatrix& matrix) {
  return (matrix.cols + matrix.format.group_size - 1) / matrix.format.group_size;
}

void require_part(const TensorView& view, const Shape& shape, bool right_dtype, const std::string& name,
                  const char* dtypes) {
  if (view.data != nullptr && view.shape == shape && right_dtype) return;
  const std::string found =
      view.data == nullptr ? "is missing" : str("is ", to_string(view.shape), " of ", dtype_name(view.dtype));
  throw Error(ErrorCode::kBadData, str(name, " ", found, " but must be ", to_string(shape), " of ", dtypes,
                                       ": take weights and config.json of one model"));
}

}  // namespace qwen
