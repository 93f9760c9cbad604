// One list of names and shapes serves checking, counting and the tools that write checkpoints.
#include "model/tensor_names.h"

#include <algorithm>
#include <string_view>
#include <unordered_set>

#include "base/error.h"
#include "base/log.h"
#include "base/quote.h"
#include "model/linear_weight.h"
#include "model/weight_formats.h"

namespace qwen {
namespace {

constexpr size_t kMaxListed = 5;

bool is_float(DType dtype) { return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16; }

void add_layer(std::vector<ExpectedTensor>& tensors, const ModelConfig& config, int64_t layer) {
  const std::string prefix = "model.layers." + std::to_string(layer) + ".";
  const auto add = [&](std::string_view name, Shape shape) { tensors.push_back({prefix + std::string(name), shape}); };
  const auto add_linear = [&](const std::string& name, int64_t out, int64_t in, bool bias) {
    tensors.push_back({.name = prefix + name + ".weight", .shape = {out, in}, .linear = true});
    if (bias) add(name + ".bias", {out});
  };
  const int64_t hidden = config.hidden_size, intermediate = config.intermediate_size;
  add("input_layernorm.weight", {hidden});
  add_linear("self_attn.q_proj", config.q_size(), hidden, config.attention_bias);
  add_linear("self_attn.k_proj", config.kv_size(), hidden, config.attention_bias);
  add_linear("self_attn.v_proj", config.kv_size(), hidden, config.attention_bias);
  add_linear("self_attn.o_proj", hidden, config.q_size(), config.attention_bias);
  add("self_attn.q_norm.weight", {config.head_dim});
  add("self_attn.k_norm.weight", {config.head_dim});
  add("post_attention_layernorm.weight", {hidden});
  add_linear("mlp.gate_proj", intermediate, hidden, false);
  add_linear("mlp.up_proj", intermediate, hidden, false);
  add_linear("mlp.down_proj", hidden, intermediate, false);
}

std::string join_first(const std::vector<std::string>& items, const char* separator) {
  std::string text;
  for (size_t i = 0; i < std::min(items.size(), kMaxListed); ++i) text += (i ? separator : "") + items[i];
  if (items.size() > kMaxListed) text += str(separator, "and ", items.size() - kMaxListed, " more");
  return text;
}

}  // namespace

std::string module_of(const ExpectedTensor& tensor) {
  return tensor.name.substr(0, tensor.name.size() - std::string_view(".weight").size());
}

std::vector<ExpectedTensor> expected_tensors(const ModelConfig& config) {
  std::vector<ExpectedTensor> tensors;
  tensors.push_back(
      {.name = "model.embed_tokens.weight", .shape = {config.vocab_size, config.hidden_size}, .linear = true});
  for (int64_t layer = 0; layer < config.num_hidden_layers; ++layer) add_layer(tensors, config, layer);
  tensors.push_back({"model.norm.weight", {config.hidden_size}});
  tensors.push_back({.name = "lm_head.weight",
                     .shape = {config.vocab_size, config.hidden_size},
                     .optional = config.tie_word_embeddings,
                     .linear = true});
  return tensors;
}

std::vector<ExpectedTensor> required_tensors(const ModelConfig& config) {
  std::vector<ExpectedTensor> tensors = expected_tensors(config);
  std::erase_if(tensors, [](const ExpectedTensor& tensor) { return tensor.optional; });
  return tensors;
}

bool is_layer_matrix(const ExpectedTensor& tensor) {
  return tensor.linear && tensor.name.find(".layers.") != std::string::npos;
}

const TensorInfo& plain_tensor(const Checkpoint& checkpoint, const ExpectedTensor& tensor) {
  if (const TensorInfo* const info = checkpoint.find(tensor.name)) return *info;
  throw Error(ErrorCode::kBadData, str(checkpoint.directory().string(), ": ", tensor.name,
                                       " is quantized already; take the unquantized model"));
}

QuantFormat weight_format_of(const ExpectedTensor& tensor, const WeightFormats& formats) {
  if (!tensor.linear) return {};
  return is_layer_matrix(tensor) ? formats.linear : formats.head;
}

int64_t parameter_count(const ModelConfig& config) {
  int64_t count = 0;
  for (const ExpectedTensor& tensor : required_tensors(config)) count += tensor.shape.num_elements();
  return count;
}

std::vector<std::string> stored_tensors(const Checkpoint& checkpoint, const ModelConfig& config,
                                        const ExpectedTensor& tensor) {
  if (!tensor.linear) return {tensor.name};
  const LinearWeight weight(checkpoint, config.quantization, module_of(tensor));
  return weight.quantized() ? weight.tensors() : std::vector{tensor.name};
}

void check_tensors(const Checkpoint& checkpoint, const ModelConfig& config) {
  const std::string folder = checkpoint.directory().string();
  const std::vector<ExpectedTensor> expected = expected_tensors(config);
  std::vector<std::string> problems;
  std::unordered_set<std::string> known;
  for (const ExpectedTensor& tensor : expected) {
    const std::vector<std::string> stored = stored_tensors(checkpoint, config, tensor);
    known.insert(stored.begin(), stored.end());
    if (!tensor.optional && tensor.linear) {
      const LinearWeight weight(checkpoint, config.quantization, module_of(tensor));
      if (const auto shape = weight.shape(); weight.quantized() && shape) {
        if (*shape != tensor.shape)
          problems.push_back(str(module_of(tensor), " is ", to_string(*shape), " in ",
                                 stored_format_name(config.quantization), " format, config.json makes it ",
                                 to_string(tensor.shape)));
        continue;
      }
    }
    const TensorInfo* info = checkpoint.find(tensor.name);
    if (info == nullptr) {
      if (!tensor.optional) problems.push_back(tensor.name + " is missing");
    } else if (tensor.optional) {
      continue;
    } else if (info->shape != tensor.shape) {
      problems.push_back(
          str(tensor.name, " is ", to_string(info->shape), ", config.json makes it ", to_string(tensor.shape)));
    } else if (!is_float(info->dtype)) {
      problems.push_back(str(tensor.name, " is ", dtype_name(info->dtype), ", allowed are float32, float16, bfloat16"));
    }
  }
  if (!problems.empty())
    throw Error(ErrorCode::kBadData, str(folder, ": the weights do not fit config.json: ", join_first(problems, "; "),
                                         ". Download weights and config.json of one model"));

  std::vector<std::string> extra;
  for (const TensorInfo& tensor : checkpoint.tensors())
    if (!known.contains(tensor.name)) extra.push_back(quote(tensor.name));
  if (!extra.empty())
    log_warning(folder, ": ", extra.size(),
                " tensors are not part of the model and are ignored: ", join_first(extra, ", "));
}

}  // namespace qwen
