// --demo: the small model that comes with the project stands in where the model folder holds none.
#pragma once

#include <string>

namespace qwen {

// `folder` where it holds a config.json or `demo` is false, else the demonstration model's folder: models/demo beside
// the binary's folder or the current one, or where packages put it. Errors: kMissingFile where it is in none of them.
std::string model_or_demo(const std::string& folder, bool demo);

}  // namespace qwen
