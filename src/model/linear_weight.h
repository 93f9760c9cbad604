// The tensors that spell one linear layer's weight in a checkpoint: `module.weight` where it is plain floats, the parts
// of a quantized format where there are such. Each layer tells by its own tensors, so heads and layers that an exporter
// left alone load as they are.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/model_config.h"
#include "quant/host_matrix.h"
#include "weights/checkpoint.h"

namespace qwen {

class LinearWeight {
 public:
  // `module`: "model.layers.0.self_attn.q_proj". Reads no data.
  LinearWeight(const Checkpoint& checkpoint, const QuantizationConfig& quantization, const std::string& module);

  const std::vector<std::string>& tensors() const { return tensors_; }  // those that are in the checkpoint
  const std::string& module() const { return module_; }
  std::optional<Shape> shape() const;                    // [out, in]; nullopt: the weight itself is missing
  Shape checked_shape() const;                           // of two dimensions. Errors: kBadData naming the tensor.
  const QuantFormat& format() const { return format_; }  // kNone where this layer is plain
  bool quantized() const { return format_.kind != QuantFormat::Kind::kNone; }

  // Checked, its scales read. Errors: kBadData naming the tensor.
  HostMatrix matrix() const;

 private:
  TensorView view(const std::string& suffix) const;  // without data where absent

  const Checkpoint& checkpoint_;
  const std::string module_;
  QuantFormat format_;
  std::vector<std::string> tensors_;
};

}  // namespace qwen
