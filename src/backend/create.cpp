#include "backend/create.h"

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/ggml_simulation.h"
#include "backend/create_cuda.h"
#include "base/cpu_count.h"
#include "base/dtype.h"
#include "base/error.h"
#include "base/kv_cache_dtype.h"

namespace qwen {

void Backend::quantize_rows(const HostMatrix&, int64_t, int64_t, const QuantFormat&, uint8_t*, uint16_t*) {
  throw Error(ErrorCode::kUsage, str("the device ", name(), " cannot quantize weights; use --device cpu"), "device");
}

void Backend::add_gram(Tensor&, const MatmulInput&, int) {
  throw Error(ErrorCode::kUsage, str("the device ", name(), " cannot calibrate; use --device cpu"), "device");
}

namespace {

// Of the CPU backend. Errors: kUsage.
int compute_threads(const BackendOptions& options) {
  constexpr int kMaxThreads = 1024;
  if (options.threads < 0 || options.threads > kMaxThreads) {
    throw Error(ErrorCode::kUsage,
                str("--threads ", options.threads, ": choose 1 to ", kMaxThreads, ", or 0 for all cores"), "threads");
  }
  return options.threads > 0 ? options.threads : usable_cores();
}

std::optional<DType> kv_dtype(const std::string& name) {
  if (const std::optional<KvCacheDtype> asked = kv_cache_dtype(name)) return asked->dtype;
  std::string names;
  for (const std::string_view known : kKvCacheDtypes) names += str(names.empty() ? "" : ", ", known);
  throw Error(ErrorCode::kUsage, str("--kv-cache-dtype ", name, ": no such type; choose one of ", names),
              "kv_cache_dtype");
}

class F32Backend : public CpuBackend {
 public:
  using CpuBackend::CpuBackend;
  QuantFormat prepared_format(std::span<const HostMatrix>, const QuantFormat& asked) const override { return asked; }
};

}  // namespace

std::unique_ptr<Backend> create_backend(const BackendOptions& options) {
  if (options.device.starts_with("cuda")) return create_cuda_backend(options);
  if (options.device != "cpu") {
    throw Error(ErrorCode::kUsage, str("--device ", options.device, ": no such device; choose cpu or cuda:N"),
                "device");
  }
  return std::make_unique<CpuBackend>(choose_kernel_set(options.kernels), compute_threads(options),
                                      kv_dtype(options.kv_cache_dtype));
}

bool computes_in_integers(const std::string& kernels) { return choose_kernel_set(kernels).integer != nullptr; }

std::vector<std::string> available_kernels() {
  std::vector<std::string> names;
  for (const KernelSet& set : usable_kernel_sets()) names.emplace_back(set.name);
  return names;
}

std::string f32_kernels(const std::string& asked) {
  if (!asked.empty()) {
    const KernelSet& kernels = choose_kernel_set(asked);
    if (kernels.activation != DType::kF32)
      throw Error(ErrorCode::kUsage, str("the kernels ", kernels.name, " round activations to ",
                                         dtype_name(kernels.activation), "; choose ", f32_kernels(), " or reference"));
    return std::string(kernels.name);
  }
  for (const KernelSet& set : usable_kernel_sets())
    if (set.activation == DType::kF32) return std::string(set.name);
  return "reference";
}

std::unique_ptr<Backend> create_f32_backend(const BackendOptions& options) {
  const KernelSet& kernels = choose_kernel_set(f32_kernels(options.kernels));
  return std::make_unique<F32Backend>(kernels, compute_threads(options), kv_dtype(options.kv_cache_dtype));
}

std::unique_ptr<Backend> create_ggml_simulation(const BackendOptions& options) {
  const KernelSet& kernels = choose_kernel_set(f32_kernels(options.kernels));
  return std::make_unique<GgmlSimulation>(kernels, compute_threads(options));
}

}  // namespace qwen
