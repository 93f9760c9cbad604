// How the weights of GPTQ and AWQ folders are multiplied as they are stored: their own integers, scales and zero points
// times activations rounded to 8 bits. Such weights cannot be rotated, so what an outlier among the activations costs
// is bounded by small blocks instead:
//
//   Activations: blocks of 16 inputs of a row, the last padded with zeros; a = max |v| of the block. For n = 127, 126,
//   125 and 124: t = v · (n / a), q = round(t), p = Σ t·q by fused multiply-adds in the order of the inputs,
//   r = p / Σ q². Taken is the first n with the largest p · r / n², which leaves the least error, and the best scale
//   for its q, r · (a / n). sum = scale · Σ q. Rounding, and what becomes of blocks of zeros, NaN or infinity, are
//   quant/integer_format.h's.
//
//   Weights: w = s_w · (q_w - z) per output and group of whole blocks; c = 2^(bits-1) is the middle of q_w's range.
//   y = Σ over groups, ascending: y = fma(g, s_w, y), where g starts at 0 and takes, over the group's blocks,
//   ascending, g = fma(Σ (q_w - c) · q_x, scale, g), and then, if the matrix has zero points,
//   g = fma(-(z - c), Σ sum, g). The sum over a block is exact in 32 bits; Σ sum is added up in the order of the
//   blocks, from 0.
//
// Why blocks of 16: small random models, which amplify every rounding, come within a relative error of 0.03 of exact
// logits with blocks of 32 and scale = a / 127, within 0.027 so; prompts take a seventh longer.
//
// Source: GPTQ (Frantar et al. 2022), AWQ (Lin et al. 2023); scales of blocks as in GGML's Q8_0. Included by
// instruction-set files: constants only.
#pragma once

#include "quant/integer_format.h"

namespace qwen {

constexpr int kGroupedBlock = 16;
constexpr int kGroupedLengths = 4;  // n: 127 and those below

}  // namespace qwen
