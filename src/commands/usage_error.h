// What is said of a command line that cannot be: in one line, with the command or flag that may have been meant.
#pragma once

#include <string>

namespace CLI {
class App;
}  // namespace CLI

namespace qwen {

// `app` has parsed the command line and failed with `problem`. No value of a flag is repeated.
std::string usage_error(const CLI::App& app, const std::string& problem);

}  // namespace qwen
