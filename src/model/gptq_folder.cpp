#include "model/gptq_folder.h"

#include <algorithm>
#include <array>

#include "base/dtype.h"
#include "base/error.h"
#include "base/thread_pool.h"
#include "model/layer_calibrator.h"
#include "model/tensor_names.h"
#include "quant/dequantize.h"
#include "quant/finite_values.h"

namespace qwen {
namespace {

constexpr int64_t kReportedRows = 128;  // of a module: its error would cost as much as quantizing it

void check_packing(const ExpectedTensor& tensor, int bits) {
  const int fields = 32 / bits;
  if (tensor.shape[0] % fields == 0 && tensor.shape[1] % fields == 0) return;
  throw Error(ErrorCode::kBadData, str("tensor ", tensor.name, " is ", to_string(tensor.shape), ", but GPTQ with ",
                                       bits, " bits needs multiples of ", fields, "; use the format int4 or int8"));
}

struct Part {
  const char* suffix;
  TensorView view;
};
std::array<Part, 4> parts_of(const HostMatrix& matrix) {
  return {
      {{".qweight", matrix.weight}, {".qzeros", matrix.zeros}, {".scales", matrix.scales}, {".g_idx", matrix.g_idx}}};
}

int64_t group_size_of(const GptqOptions& options, int64_t cols) {
  return options.group_size == -1 ? cols : options.group_size;
}

// What `compute` throws, with the name of what it was about.
template <typename Compute>
auto named(const std::string& name, const Compute& compute) {
  try {
    return compute();
  } catch (const Error& error) {
    throw Error(error.code(), str(name, ": ", error.what()));
  }
}

class Job {
 public:
  Job(const Checkpoint& checkpoint, const ModelConfig& config, const GptqOptions& options, int threads,
      ModelFolderWriter& writer, const GptqReportFn& report, const ProgressFn& progress)
      : checkpoint_(checkpoint),
        options_(options),
        pool_(threads),
        writer_(writer),
        report_(report),
        progress_(progress),
        tensors_(required_tensors(config)) {
    for (const ExpectedTensor& tensor : tensors_)
      if (is_layer_matrix(tensor)) total_bytes_ += plain_tensor(checkpoint_, tensor).size_bytes;
  }

  void copy_plain() {
    for (const ExpectedTensor& tensor : tensors_) {
      if (is_layer_matrix(tensor)) continue;
      const TensorView view = checkpoint_.view(tensor.name);
      check_finite(view, tensor.name);
      writer_.write_at(tensor.name, 0, {view.data, view.size_bytes()});
      checkpoint_.release(tensor.name);
      tell();
    }
  }

  // The modules that read `input`, quantized, written and, unless nothing comes after them, handed to the calibrator.
  void quantize(LayerCalibrator& calibrator, LayerInput input, int64_t layer, bool last) {
    const int64_t cols = calibrator.input_size(input);
    std::vector<std::vector<float>> values;
    std::vector<HostMatrix> weights;
    {
      const std::span<const float> gram = calibrator.gram(input);
      const HessianFactor factor = named(str("calibration of ", modules_of(input, layer).front()),
                                         [&] { return HessianFactor(gram, cols, options_.hessian, pool_); });
      tell();
      for (const std::string& module : modules_of(input, layer)) {
        values.push_back(quantize(module, gram, factor));
        const Shape shape{static_cast<int64_t>(values.back().size()) / cols, cols};
        weights.push_back({.rows = shape[0],
                           .cols = cols,
                           .weight = {DType::kF32, shape, reinterpret_cast<const std::byte*>(values.back().data())}});
      }
    }
    if (!last) calibrator.advance(input, weights);
  }

  void tell() const {
    if (progress_) progress_(done_bytes_, total_bytes_);
  }

 private:
  std::vector<float> dequantized(const HostMatrix& matrix) {
    std::vector<float> values(static_cast<size_t>(matrix.rows * matrix.cols));
    constexpr int64_t kRows = 32;
    pool_.run(static_cast<int>((matrix.rows + kRows - 1) / kRows), [&](int task, int) {
      const int64_t first = task * kRows;
      dequantize_rows(matrix, first, std::min(kRows, matrix.rows - first), values.data() + first * matrix.cols);
    });
    return values;
  }

  // Returns what the written integers stand for.
  std::vector<float> quantize(const std::string& module, std::span<const float> gram, const HessianFactor& factor) {
    const std::string name = module + ".weight";
    const TensorView view = checkpoint_.view(name);
    const int64_t rows = view.shape[0], cols = view.shape[1];
    const std::vector<float> weights = dequantized({.rows = rows, .cols = cols, .weight = view});
    checkpoint_.release(name);
    const GptqMatrix matrix = named(name, [&] { return gptq_quantize(weights, rows, factor, options_, pool_); });
    for (const Part& part : parts_of(matrix.view()))
      writer_.write_at(module + part.suffix, 0, {part.view.data, part.view.size_bytes()});
    std::vector<float> values = dequantized(matrix.view());
    report(module, weights, values, rows, gram, factor);
    done_bytes_ += view.size_bytes();
    tell();
    return values;
  }

  void report(const std::string& module, const std::vector<float>& weights, const std::vector<float>& values,
              int64_t rows, std::span<const float> gram, const HessianFactor& factor) {
    const int64_t cols = factor.size(), unit = 32 / options_.grid.bits;
    const int64_t step = std::max<int64_t>(1, rows / kReportedRows), count = std::min(rows, rows / step / unit * unit);
    std::vector<float> sample(static_cast<size_t>(count * cols)), quantized(sample.size());
    for (int64_t i = 0; i < count; ++i) {
      std::copy_n(weights.begin() + i * step * cols, cols, sample.begin() + i * cols);
      std::copy_n(values.begin() + i * step * cols, cols, quantized.begin() + i * cols);
    }
    const std::vector<float> nearest = dequantized(round_to_nearest(sample, count, cols, options_, pool_).view());
    report_({module, relative_output_error(sample, quantized, count, gram, cols, pool_),
             relative_output_error(sample, nearest, count, gram, cols, pool_), factor.damp_percent()});
  }

  const Checkpoint& checkpoint_;
  const GptqOptions& options_;
  ThreadPool pool_;
  ModelFolderWriter& writer_;
  const GptqReportFn& report_;
  const ProgressFn& progress_;
  std::vector<ExpectedTensor> tensors_;
  uint64_t done_bytes_ = 0, total_bytes_ = 0;
};

}  // namespace

uint64_t gptq_memory(const ModelConfig& config, Backend& backend, int64_t tokens) {
  const auto bytes = [](int64_t a, int64_t b, size_t size) {
    return static_cast<uint64_t>(a) * static_cast<uint64_t>(b) * size;
  };
  const size_t element = dtype_size(backend.alloc_matmul_input(1, static_cast<int>(config.hidden_size), {}).dtype);
  const int64_t largest = std::max({config.hidden_size, config.q_size(), config.intermediate_size});
  // Σ x·xᵀ in f32, its factor in double and in f32; of gate and up, one plain and both quantized.
  return bytes(tokens, config.hidden_size, sizeof(float)) +
         bytes(tokens, std::max(config.q_size(), config.intermediate_size), element) +
         bytes(largest, largest, sizeof(float) + sizeof(double) + sizeof(float)) +
         bytes(config.hidden_size, config.intermediate_size, 3 * sizeof(float));
}

void declare_gptq_folder(const Checkpoint& checkpoint, const ModelConfig& config, const GptqOptions& options,
                         ModelFolderWriter& writer) {
  check_tensors(checkpoint, config);
  for (const ExpectedTensor& tensor : required_tensors(config)) {
    const TensorInfo& info = plain_tensor(checkpoint, tensor);
    if (!is_layer_matrix(tensor)) {
      writer.declare(tensor.name, info.dtype, info.shape);
      continue;
    }
    check_packing(tensor, options.grid.bits);
    const GptqMatrix shapes(tensor.shape[0], tensor.shape[1], options.grid.bits,
                            group_size_of(options, tensor.shape[1]), gptq_zero_offset(options));
    for (const Part& part : parts_of(shapes.view()))
      writer.declare(module_of(tensor) + part.suffix, part.view.dtype, part.view.shape);
  }
  writer.begin();
}

void write_gptq_folder(const Checkpoint& checkpoint, const ModelConfig& config, const GptqOptions& options,
                       std::span<const std::vector<TokenId>> sequences, Backend& backend, int threads,
                       ModelFolderWriter& writer, const GptqReportFn& report, const ProgressFn& progress) {
  Job job(checkpoint, config, options, threads, writer, report, progress);
  job.copy_plain();
  LayerCalibrator calibrator(checkpoint, config, backend, sequences, [&] { job.tell(); });
  for (int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    calibrator.begin_layer(layer);
    for (const LayerInput input : kLayerInputs) {
      const bool last = layer + 1 == config.num_hidden_layers && input == kLayerInputs.back();
      job.quantize(calibrator, input, layer, last);
    }
  }
}

}  // namespace qwen
