// Flags that several commands share, with the environment variables behind them.
#pragma once

#include <string>

#include "backend/create.h"

namespace CLI {
class App;
}

namespace qwen {

// --model (MODEL_PATH), required.
void add_model_flag(CLI::App& command, std::string& model);

// --chat-template (CHAT_TEMPLATE): empty = recognised from the folder.
void add_template_flag(CLI::App& command, std::string& family);

// --device, --kernels (KERNELS) and --threads (THREADS).
void add_backend_flags(CLI::App& command, BackendOptions& options);

}  // namespace qwen
