// What synthetic weights look like, per tensor of a Qwen3, and filling memory with them.
//
// Scales keep activations O(1): a matrix has standard deviation 1/√in; what o_proj and down_proj add to the residual
// stream is scaled so that all layers together add about 1/2 (less, and the output would repeat the input token; more,
// and rounding errors would grow from layer to layer as they do not in a trained model); the embedding and the head
// have 2.5/√hidden (logits of standard deviation about 3, tied or not); q_norm and k_norm are near 1.
//
// Outliers, as real checkpoints have them: in a few residual channels everything that writes the stream (embedding
// columns, rows of o_proj and down_proj) is 100–1,000 times the rest. The norms compensate: weights near the growth of
// the RMS in ordinary channels, and so small in outlier channels that 8 times an ordinary activation remains after it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/tensor_view.h"
#include "weights/synthetic_weights.h"

namespace qwen {

struct SyntheticStyle {
  uint64_t seed = 0;
  int64_t hidden_size = 0;
  int64_t num_hidden_layers = 0;
  bool tie_word_embeddings = false;
  bool outliers = true;
};

// `name` as in a Hugging Face checkpoint. Unknown names get the matrix rule.
SyntheticTensor synthetic_tensor(std::string_view name, const Shape& shape, const SyntheticStyle& style);

// Elements [begin, end) in row-major order, rounded to `dtype` (kF32, kF16 or kBF16), to `out`, which has room for
// them.
void fill_synthetic(const SyntheticTensor& tensor, uint64_t begin, uint64_t end, DType dtype, std::byte* out);

}  // namespace qwen
