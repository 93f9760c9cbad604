#include "quant/finite_values.h"

#include "base/error.h"
#include "quant/stored_floats.h"

namespace qwen {
namespace {

// A number is finite unless its exponent's bits are all ones. No exit on the way, so that loops become vectors.
template <typename T>
bool all_finite(const TensorView& view, T exponent) {
  const int64_t count = view.shape.num_elements();
  int bad = 0;
  for (int64_t i = 0; i < count; ++i) bad |= static_cast<int>((read_element<T>(view, i) & exponent) == exponent);
  return bad == 0;
}

bool is_finite(const TensorView& view) {
  switch (view.dtype) {
    case DType::kF32:
      return all_finite<uint32_t>(view, 0x7f800000);
    case DType::kF16:
      return all_finite<uint16_t>(view, 0x7c00);
    case DType::kBF16:
      return all_finite<uint16_t>(view, 0x7f80);
    default:
      return true;
  }
}

}  // namespace

void check_finite(const TensorView& view, const std::string& name) {
  if (!is_finite(view))
    throw Error(ErrorCode::kBadData, name + ": a weight is not finite; the file is damaged, download it again");
}

}  // namespace qwen
