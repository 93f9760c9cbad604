// The one place that knows which backends exist.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"

namespace qwen {

struct BackendOptions {
  std::string device = "cpu";    // "cpu"; "cuda:N" where built with CUDA
  std::string kernels = "auto";  // "auto", "reference" or one of available_kernels()
  int threads = 0;               // compute threads of the CPU backend; 0 = physical cores this process may use
};

// Errors: kUsage for an unknown name, kDeviceUnavailable for a device or instruction set that this machine lacks.
std::unique_ptr<Backend> create_backend(const BackendOptions& options);

std::vector<std::string> available_kernels();  // of this CPU, best first, "reference" last

}  // namespace qwen
