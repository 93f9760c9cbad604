// See weight_loader.h.
#include "model/weight_loader.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "quant/integer_rows.h"
#include "quant/stored_floats.h"

namespace qwen {

WeightLoader::WeightLoader(const Checkpoint& checkpoint, const QuantizationConfig& quantization,
                           const WeightFormats& formats, Backend& backend, uint64_t total_bytes, ProgressFn progress,
                           PackedCache* cache)
    : checkpoint_(checkpoint),
      quantization_(quantization),
      formats_(formats),
      backend_(backend),
      total_bytes_(total_bytes),
      progress_(std::move(progress)),
      cache_(cache) {}

Matrix WeightLoader::matrix(std::initializer_list<std::string> modules, int64_t cols) {
  return load(std::vector<std::string>(modules), cols, formats_.linear);
}

Matrix WeightLoader::head(const std::string& module, int64_t cols) { return load({&module, 1}, cols, formats_.head); }

Matrix WeightLoader::load(std::span<const std::string> modules, int64_t cols, const QuantFormat& format) {
  std::vector<LinearWeight> weights;
  std::string name;
  weights.reserve(modules.size());
  for (const std::string& module : modules) {
    weights.emplace_back(checkpoint_, quantization_, module);
    name += str(name.empty() ? "" : "+", module);
  }
  Matrix matrix = prepare(weights, name, cols, format);
  for (const LinearWeight& weight : weights) finish(weight.tensors());
  return matrix;
}

Matrix WeightLoader::prepare(std::span<const LinearWeight> weights, const std::string& name, int64_t cols,
                             const QuantFormat& asked) {
  int64_t rows = 0;
  for (const LinearWeight& weight : weights) {
    const Shape shape = weight.checked_shape();
    if (shape[1] != cols) {
      throw Error(ErrorCode::kBadData,
                  str("tensor ", weight.module(), ".weight has ", shape[1], " columns but needs ", cols));
    }
    rows += shape[0];
  }
  const auto ask_backend = [&](const auto& question) {  // it knows no names
    try {
      return question();
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kBadData) throw;
      throw Error(error.code(), str(checkpoint_.directory().string(), ": ", name, ": ", error.what()));
    }
  };
  std::vector<HostMatrix> stacked;
  stacked.reserve(weights.size());
  for (const LinearWeight& weight : weights) {
    stacked.push_back(weight.matrix());
    const QuantFormat& stored = stacked.back().format;
    if (is_integer_kind(stored) && is_integer_kind(asked) && stored != asked) {
      throw Error(ErrorCode::kBadData,
                  str("tensor ", weight.module(), ".qweight holds ", weight_format_name(stored),
                      " weights, which config.json's quantization_config makes ", weight_format_name(asked)));
    }
  }
  const QuantFormat format = ask_backend([&] { return backend_.prepared_format(stacked, asked); });
  if (cache_ != nullptr) {
    if (const auto kept = cache_->find(name, rows, cols, format))
      return ask_backend([&] { return backend_.prepare({&*kept, 1}, format); });
  }
  Matrix matrix = ask_backend([&] { return backend_.prepare(stacked, format); });
  if (cache_ != nullptr) cache_->store(name, matrix);
  return matrix;
}

Tensor WeightLoader::vector(std::initializer_list<std::string> names, int64_t size) {
  std::vector<float> values;
  values.reserve(static_cast<size_t>(size));
  for (const std::string& name : names) {
    const TensorView view = checkpoint_.view(name);
    const int64_t count = view.shape.num_elements();
    if (view.shape.rank() != 1 || count > size - static_cast<int64_t>(values.size())) {
      throw Error(ErrorCode::kBadData,
                  str("tensor ", name, " has shape ", to_string(view.shape), ", which is too long"));
    }
    if (!is_stored_float(view.dtype)) {
      throw Error(ErrorCode::kBadData, str("tensor ", name, " is ", dtype_name(view.dtype),
                                           " where float32, float16 or bfloat16 is expected"));
    }
    for (int64_t i = 0; i < count; ++i) values.push_back(read_float(view, i));
  }
  if (static_cast<int64_t>(values.size()) != size) {
    throw Error(ErrorCode::kBadData, str("tensor ", *names.begin(), " has fewer than ", size, " numbers"));
  }
  Tensor tensor = backend_.alloc(DType::kF32, {size});
  backend_.upload(tensor, {DType::kF32, {size}, reinterpret_cast<const std::byte*>(values.data())});
  finish(std::vector<std::string>(names));
  return tensor;
}

void WeightLoader::finish(std::span<const std::string> names) {
  for (const std::string& name : names) {
    if (const TensorInfo* info = checkpoint_.find(name)) done_bytes_ += info->size_bytes;
    if (cache_ != nullptr) cache_->finish_tensor(name);
    checkpoint_.release(name);
  }
  if (progress_) progress_(std::min(done_bytes_, total_bytes_), total_bytes_);
}

}  // namespace qwen
