#include "text/tokenizer_config.h"

#include "base/error.h"

namespace qwen {

JsonValue parse_tokenizer_config(std::string_view json, std::string_view source) {
  constexpr size_t kMaxValues = size_t{1} << 16;  // an added token has seven
  try {
    return parse_json(json, kMaxValues);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidValue) throw;
    throw Error(ErrorCode::kBadData, str(source, ": ", error.what(), "; the file is damaged, copy it again"));
  }
}

}  // namespace qwen
