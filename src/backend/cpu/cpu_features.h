// Which instruction sets this CPU has and the operating system lets us use (CPUID and XCR0).
#pragma once

namespace qwen {

struct CpuFeatures {
  bool avx2 = false;         // AVX2, FMA, F16C, BMI2
  bool avx_vnni = false;     // the above and byte dot products on 256 bits
  bool avx512_vnni = false;  // AVX-512 F, BW, VL, DQ and VNNI
  bool avx512_bf16 = false;  // AVX-512 F, BW, VL, DQ and BF16
};

CpuFeatures detect_cpu_features();

}  // namespace qwen
