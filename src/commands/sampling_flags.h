// --temperature and its like, for chat and generate.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "server/api/sampling_fields.h"

namespace CLI {
class App;
}

namespace qwen {

struct SamplingFlags {
  SamplingFields fields;
  std::optional<int> max_length;  // most new tokens

  // `defaults` says in the help where the values come from. Must outlive the parse.
  void declare(CLI::App& command, const std::string& defaults);
};

}  // namespace qwen
