// The CUDA backend of this build: cuda/ where it is built with CUDA, no_cuda/ otherwise.
#pragma once

#include <memory>

#include "backend/create.h"

namespace qwen {

std::unique_ptr<Backend> create_cuda_backend(const BackendOptions& options);

}  // namespace qwen
