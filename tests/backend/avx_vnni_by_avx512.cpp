// The AVX-VNNI kernels with AVX-512-VNNI's encoding of their one instruction of that set, so that they are tested on
// CPUs that have that alone. The table has another name; all else is the same source.
#include <immintrin.h>

#undef _mm256_dpbusd_avx_epi32
#define _mm256_dpbusd_avx_epi32 _mm256_dpbusd_epi32
#define kAvxVnniIntegerKernels kAvxVnniByAvx512IntegerKernels

#include "backend/cpu/avx_vnni/table.cpp"
