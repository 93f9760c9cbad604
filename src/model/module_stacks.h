// Which linear modules read the same input: their weights are stacked along the outputs and multiplied as one matrix.
// One list for loading, for calibration and for what a model takes in memory.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "model/model_config.h"

namespace qwen {

// What the linear modules of a layer read; q, k and v share one, so do gate and up.
enum class LayerInput { kQkv, kO, kGateUp, kDown };
inline constexpr std::array kLayerInputs = {LayerInput::kQkv, LayerInput::kO, LayerInput::kGateUp, LayerInput::kDown};

std::vector<std::string> modules_of(LayerInput input, int64_t layer);  // "model.layers.0.self_attn.q_proj", …
int64_t input_size(const ModelConfig& config, LayerInput input);

struct ModuleStack {
  std::vector<std::string> modules;
  std::vector<int64_t> rows;  // of each, its outputs
  int64_t cols = 0;           // their inputs
  bool head = false;          // the embedding or the head, which have a format of their own
};

// In the order in which they are loaded.
std::vector<ModuleStack> module_stacks(const ModelConfig& config);

}  // namespace qwen
