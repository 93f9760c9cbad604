// The formats int8 and int4, made from plain weights at load. Both multiply integers with integers:
//
//   Inputs are cut into groups of 128. Each group of an activation row and of a weight row is rotated by the same
//   orthonormal Walsh-Hadamard transform H (Sylvester's order), which leaves their product alone, (W·H)·(H·x) = W·x,
//   and spreads an outlier over its group. A last group of c < 128 inputs is rotated in blocks of the powers of two
//   that make up c, the largest first. Activations: q = round(v · (127 / a)), scale = a / 127 in f32, a = max |v| of
//   the group and row. int8 weights: q in ±127, scale = a / 127 rounded to bf16, q = round(v / scale). int4 weights: q
//   in -8 … 7, scale (bf16, may be negative) searched for the least squared error. y = Σ over groups, ascending: y =
//   fma(Σ q_w · q_x, scale_w · scale_x, y); the inner sum is exact in 32 bits. int4 weights of group size 64 have a
//   scale for each half of a rotated group, and y sums over halves; all else is the same.
//
// Rounding is to nearest, ties to even. A group whose largest magnitude is below kSmallestGroup becomes zeros with
// scale 0; one that holds a NaN or infinity gets zeros with a NaN scale. Source: QuaRot (Ashkboos et al. 2024) for the
// rotation, here local to a group; group scales as in GGML's Q8_0 and Q4_0. Included by instruction-set files:
// constants only.
#pragma once

namespace qwen {

constexpr int kIntegerGroup = 128;
constexpr int kHalfGroup = 64;
constexpr int kInt8Max = 127;
constexpr int kInt4Min = -8, kInt4Max = 7;
constexpr float kSmallestGroup = 1e-30f;

// int4: the candidates make the group's largest magnitude d = kInt4First + i · kInt4Step steps long, on the side of -8;
// the best of them is then refined by least squares while that lowers the error, kInt4Refinements times at most.
constexpr int kInt4Candidates = 16;
constexpr float kInt4First = 7.0f, kInt4Step = 0.25f;
constexpr int kInt4Refinements = 2;

}  // namespace qwen
