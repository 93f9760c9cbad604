#include "backend/create.h"

#include "backend/cpu/cpu_backend.h"
#include "backend/create_cuda.h"
#include "base/cpu_count.h"
#include "base/error.h"

namespace qwen {

std::unique_ptr<Backend> create_backend(const BackendOptions& options) {
  if (options.device.starts_with("cuda")) return create_cuda_backend(options);
  if (options.device != "cpu") {
    throw Error(ErrorCode::kUsage, str("--device ", options.device, ": no such device; choose cpu or cuda:N"),
                "device");
  }
  constexpr int kMaxThreads = 1024;
  if (options.threads < 0 || options.threads > kMaxThreads) {
    throw Error(ErrorCode::kUsage,
                str("--threads ", options.threads, ": choose 1 to ", kMaxThreads, ", or 0 for all cores"), "threads");
  }
  const int threads = options.threads > 0 ? options.threads : usable_cores();
  return std::make_unique<CpuBackend>(choose_kernel_set(options.kernels), threads);
}

std::vector<std::string> available_kernels() {
  std::vector<std::string> names;
  for (const KernelSet& set : usable_kernel_sets()) names.emplace_back(set.name);
  return names;
}

}  // namespace qwen
