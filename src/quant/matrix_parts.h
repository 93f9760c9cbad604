// What the checks of all formats share.
#pragma once

#include <string>

#include "quant/host_matrix.h"

namespace qwen {

int64_t num_groups(const HostMatrix& matrix);  // of input features, the last may be shorter

// Errors: kBadData where the part is absent or another; `name` is the tensor's, `dtypes` what it may hold.
void require_part(const TensorView& view, const Shape& shape, bool right_dtype, const std::string& name,
                  const char* dtypes);

}  // namespace qwen
