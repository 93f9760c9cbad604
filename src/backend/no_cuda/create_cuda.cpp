// The CUDA backend of a build without CUDA.
#include "backend/create_cuda.h"

#include "base/error.h"

namespace qwen {

std::unique_ptr<Backend> create_cuda_backend(const BackendOptions& options) {
  throw Error(ErrorCode::kDeviceUnavailable,
              str("--device ", options.device, ": this program is built without CUDA; choose --device cpu"), "device");
}

}  // namespace qwen
