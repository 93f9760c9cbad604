// What the machine can do at this moment with these kernels' loads and multiply-accumulate: the roofline to print
// beside a measurement. On shared machines bandwidth and clocks move in modes that last minutes, so probe right before
// and after.
#pragma once

#include <cstddef>
#include <string_view>

namespace qwen {

struct MachineCeilings {
  double read_gbs = 0;    // 10⁹ bytes per second, all threads, one forward stream each through huge pages
  double dot_gflops = 0;  // 10⁹ operations per second, all threads, of the dot product asked for
};

enum class ProbedDot {
  kFloat,  // bf16 pair products or f32 FMA: plain weights
  kInt8,   // products of bytes: int8 and int4 weights
};

// `kernels` as in BackendOptions; threads 0: usable_cores(). Takes `seconds` for each figure and `bytes` of memory,
// which must exceed every cache for the figure to mean anything.
MachineCeilings probe_machine(std::string_view kernels, int threads, double seconds = 1.0,
                              size_t bytes = size_t{1} << 30, ProbedDot dot = ProbedDot::kFloat);

// read_gbs through pages of 4 KiB, as a mapped file has them.
double probe_small_page_reads(std::string_view kernels, int threads, double seconds = 1.0,
                              size_t bytes = size_t{1} << 30);

}  // namespace qwen
