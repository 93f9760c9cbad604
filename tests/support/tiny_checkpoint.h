// A small Qwen3 model folder with synthetic weights: config.json, generation_config.json and model.safetensors, no
// tokenizer. The tensor names are spelled out here, independent of src/model.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/tensor_view.h"
#include "support/scratch_folder.h"

namespace qwen {

struct TinyModel {
  int64_t hidden_size = 64, intermediate_size = 160, num_hidden_layers = 2;
  int64_t num_attention_heads = 4, num_key_value_heads = 2, head_dim = 32;
  int64_t vocab_size = 512;
  bool tie_word_embeddings = true, attention_bias = false;
  DType dtype = DType::kF32;
  uint64_t seed = 1;
  bool outliers = false;
  std::string extra_config;  // more members of config.json, such as "\"rope_scaling\": null"
};

struct NamedShape {
  std::string name;
  Shape shape;
};

std::vector<NamedShape> tiny_tensors(const TinyModel& model);
std::string tiny_config_json(const TinyModel& model);

class TinyCheckpoint {
 public:
  explicit TinyCheckpoint(const TinyModel& model = {});
  const std::filesystem::path& folder() const { return scratch_.path(); }

 private:
  ScratchFolder scratch_;
};

}  // namespace qwen
