// The configurations of the dense Qwen3 family, as config.json texts.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/dtype.h"

namespace qwen {

struct ConfigChanges {
  std::optional<DType> dtype;
  std::optional<int> num_hidden_layers;
};

// The text of config.json for a name of the family ("qwen3-4b", "4b", "tiny", …), or that of an existing file when
// `model` is a path, with the changes applied. Throws kUsage listing the names when it is neither.
std::string config_json(const std::string& model, const ConfigChanges& changes);

// "tiny, 0.6b, …", for help and errors.
std::string family_names();

}  // namespace qwen
