// The one place that knows which backends exist.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"

namespace qwen {

struct BackendOptions {
  std::string device = "cpu";           // "cpu"; "cuda:N" where built with CUDA
  std::string kernels = "auto";         // "auto", "reference" or one of available_kernels()
  int threads = 0;                      // compute threads of the CPU backend; 0 = physical cores this process may use
  std::string kv_cache_dtype = "auto";  // one of base/kv_cache_dtype.h
};

// Errors: kUsage for an unknown name, kDeviceUnavailable for a device or instruction set that this machine lacks.
std::unique_ptr<Backend> create_backend(const BackendOptions& options);

// Whether those kernels multiply int8 and int4 weights, and an int8 KV cache, as integers. Errors: as create_backend.
bool computes_in_integers(const std::string& kernels);

std::vector<std::string> available_kernels();  // of this CPU, best first, "reference" last

// For comparing quality: kernels that leave activations in f32, by name; empty: the best of this CPU. And two backends
// of such kernels: one that multiplies a folder's own integers as the numbers that they stand for, so that activations
// stay f32 whatever the folder holds, and one that computes with int8 and int4 weights as llama.cpp would
// (cpu/ggml_simulation.h). Errors: as create_backend, kUsage for kernels that round activations.
std::string f32_kernels(const std::string& asked = {});
std::unique_ptr<Backend> create_f32_backend(const BackendOptions& options);
std::unique_ptr<Backend> create_ggml_simulation(const BackendOptions& options);

}  // namespace qwen
