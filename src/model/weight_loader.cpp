// See weight_loader.h.
#include "model/weight_loader.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "quant/stored_floats.h"

namespace qwen {

WeightLoader::WeightLoader(const Checkpoint& checkpoint, const QuantizationConfig& quantization,
                           const WeightFormats& formats, Backend& backend, uint64_t total_bytes, ProgressFn progress,
                           PackedCache* cache, WeightPlan* plan)
    : checkpoint_(checkpoint),
      quantization_(quantization),
      formats_(formats),
      backend_(backend),
      total_bytes_(total_bytes),
      progress_(std::move(progress)),
      cache_(cache),
      plan_(plan) {}

Matrix WeightLoader::matrix(const std::vector<std::string>& modules, int64_t cols) {
  return load(modules, cols, formats_.linear);
}

Matrix WeightLoader::head(const std::string& module, int64_t cols) { return load({&module, 1}, cols, formats_.head); }

Matrix WeightLoader::load(std::span<const std::string> modules, int64_t cols, const QuantFormat& asked) {
  WeightStack seen(checkpoint_, quantization_, modules, cols);
  WeightStack* const planned = plan_ ? plan_->find(seen.name()) : nullptr;
  WeightStack& stack = planned ? *planned : seen;
  Matrix matrix = prepare(stack, asked);
  for (const LinearWeight& weight : stack.weights()) finish(weight.tensors());
  stack.release();  // its views end with the pages
  return matrix;
}

Matrix WeightLoader::prepare(WeightStack& stack, const QuantFormat& asked) {
  if (cache_ != nullptr) {
    if (const auto kept = cache_->find(stack.name(), stack.rows(), stack.cols(), asked))
      return stack.ask([&] { return backend_.prepare({&*kept, 1}, kept->format); });
  }
  Matrix matrix = stack.prepare(backend_, stack.prepared_format(backend_, asked));
  if (cache_ != nullptr) cache_->store(stack.name(), matrix, asked);
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
