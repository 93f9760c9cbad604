// See weight_formats.h.
#include "model/weight_formats.h"

#include "base/error.h"
#include "quant/integer_format.h"
#include "quant/integer_rows.h"

namespace qwen {

WeightFormats weight_formats(std::string_view name) {
  using Kind = QuantFormat::Kind;
  constexpr QuantFormat kInt8{.kind = Kind::kInt8, .bits = 8, .group_size = kIntegerGroup};
  constexpr QuantFormat kInt4{.kind = Kind::kInt4, .bits = 4, .group_size = kIntegerGroup};
  constexpr QuantFormat kInt4Half{.kind = Kind::kInt4, .bits = 4, .group_size = kHalfGroup};
  if (name == "none") return {};
  if (name == "int8") return {kInt8, kInt8};
  if (name == "int4") return {kInt4, kInt8};
  if (name == "int4-g64") return {kInt4Half, kInt8};
  throw Error(ErrorCode::kUsage, str("weights in the format ", name, ": choose none, int8, int4 or int4-g64"),
              "format");
}

std::string weight_format_name(const QuantFormat& linear) {
  if (linear.kind == QuantFormat::Kind::kInt8) return "int8";
  if (linear.kind != QuantFormat::Kind::kInt4) return "none";
  return linear.group_size == kIntegerGroup ? "int4" : str("int4-g", linear.group_size);
}

std::string stored_format_name(const QuantizationConfig& quantization) {
  if (quantization.method.empty() || is_integer_kind(quantization.format))
    return weight_format_name(quantization.format);
  return quantization.method;
}

}  // namespace qwen
