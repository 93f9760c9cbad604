#include "backend/cpu/cpu_backend.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "backend/cpu/gram_matrix.h"
#include "backend/cpu/grouped_weights.h"
#include "backend/cpu/host_memory.h"
#include "backend/cpu/integer_weights.h"
#include "backend/cpu/kv_storage.h"
#include "backend/cpu/layouts.h"
#include "backend/cpu/stacked_rows.h"
#include "backend/cpu/weight_packing.h"
#include "base/error.h"
#include "quant/integer_rows.h"
#include "quant/stored_floats.h"

namespace qwen {
namespace {

// A multiple is no faster, and a small block shares more of a common prefix.
constexpr int kKvBlockSize = kKvTile;

// Rows of a task of plain weights, as kIntegerTaskRows of the others. A chunk of activations stays in the L2 cache
// while the thread walks its panels; for fewer rows than this the weights are read once, by one thread each.
constexpr int kMatmulRows = 192;

// Elements below which an element-wise operation is done before a second thread has noticed.
constexpr int64_t kMinParallelElements = 32 * 1024;

size_t activation_row_bytes(int cols, DType dtype, const QuantFormat& weights) {
  if (is_grouped(weights)) return grouped_row_bytes(cols);
  if (dtype == DType::kI8) return int8_row_bytes(cols);
  return static_cast<size_t>(activation_stride(cols, dtype_size(dtype))) * dtype_size(dtype);
}
size_t activation_row_bytes(const MatmulInput& input) {
  return activation_row_bytes(input.cols, input.dtype, input.weights);
}

std::byte* row_of(MatmulInput& input, int row) {
  return input.buffer.as<std::byte>() + static_cast<size_t>(row) * activation_row_bytes(input);
}

size_t checked_bytes(const Shape& shape, DType dtype) {
  int64_t elements = 1;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] < 0 || __builtin_mul_overflow(elements, shape[i], &elements)) {
      throw Error(ErrorCode::kInternal, str("tensor of shape ", to_string(shape)));
    }
  }
  if (elements > std::numeric_limits<int64_t>::max() / 16)
    throw Error(ErrorCode::kInternal, str("tensor of shape ", to_string(shape)));
  return static_cast<size_t>(elements) * dtype_size(dtype);
}

float* row_of(Tensor& tensor, int row) {
  return tensor.buffer.as<float>() + row * tensor.shape[tensor.shape.rank() - 1];
}
const float* row_of(const Tensor& tensor, int row) {
  return tensor.buffer.as<float>() + row * tensor.shape[tensor.shape.rank() - 1];
}

// out = in · weightᵀ (+ bias) for the first `rows` rows.
struct Product {
  Tensor& out;
  const MatmulInput& in;
  const Matrix& weight;
  const float* bias;  // or null
  int rows;
};

// kernel(task) for every panel of every chunk of at most max_rows rows; of `shape` counts what is the same for all of
// them. Chunks outermost: a thread walks its panels forward with the chunk's activations in its cache.
template <typename Task>
void run_product(ThreadPool& pool, const Product& product, int max_rows, size_t panel_bytes, const Task& shape,
                 void (*kernel)(const Task&)) {
  const int rows = product.rows, outputs = product.weight.rows, panels = (outputs + kPanelRows - 1) / kPanelRows;
  const size_t row_bytes = activation_row_bytes(product.in);
  const int least_chunks = (rows + max_rows - 1) / max_rows, chunk_rows = (rows + least_chunks - 1) / least_chunks;
  const int chunks = (rows + chunk_rows - 1) / chunk_rows;
  pool.run(chunks * panels, [&](int index, int) {
    const int first_row = index / panels * chunk_rows, panel = index % panels, column = panel * kPanelRows;
    Task task = shape;
    task.x = product.in.buffer.as<std::byte>() + static_cast<size_t>(first_row) * row_bytes;
    task.w = product.weight.buffer.as<std::byte>() + static_cast<size_t>(panel) * panel_bytes;
    task.out = row_of(product.out, first_row) + column;
    task.out_stride = product.out.shape[1];
    task.bias = product.bias ? product.bias + column : nullptr;
    task.rows = std::min(chunk_rows, rows - first_row);
    task.columns = std::min(kPanelRows, outputs - column);
    kernel(task);
  });
}

}  // namespace

CpuBackend::CpuBackend(const KernelSet& kernels, int threads, std::optional<DType> kv_dtype)
    : kernels_(kernels), kv_dtype_(kv_dtype.value_or(kernels.kv)), pool_(threads), attention_(kernels_, pool_) {}

// --- Memory

size_t CpuBackend::free_memory() const { return available_host_memory(); }

int CpuBackend::kv_block_size() const { return kKvBlockSize; }

Tensor CpuBackend::alloc(DType dtype, const Shape& shape) {
  return {.dtype = dtype, .shape = shape, .buffer = allocate_host_memory(checked_bytes(shape, dtype), "a tensor")};
}

MatmulInput CpuBackend::alloc_matmul_input(int max_rows, int cols, const QuantFormat& weights) {
  QWEN_CHECK(max_rows >= 0 && cols > 0);
  const bool integer = kernels_.integer != nullptr && (is_integer(weights) || is_grouped(weights));
  const DType dtype = integer ? DType::kI8 : kernels_.activation;
  const size_t rows = static_cast<size_t>(max_rows);
  size_t row_bytes = activation_row_bytes(cols, dtype, integer ? weights : QuantFormat{});
  if (kernels_.integer != nullptr) {  // whatever is asked for, set_reader may come with something else
    row_bytes = std::max({row_bytes, int8_row_bytes(cols), grouped_row_bytes(cols),
                          activation_row_bytes(cols, kernels_.activation, {})});
    const size_t scratch = static_cast<size_t>(pool_.threads()) * static_cast<size_t>(cols);
    const size_t attended = rows * static_cast<size_t>(cols) * sizeof(float);
    row_scratch_.resize(std::max(row_scratch_.size(), scratch));
    // Committed as it is touched, so only what attention writes counts.
    if (attended > attended_.size_bytes()) attended_ = allocate_host_memory(attended, "activations");
  }
  return {.max_rows = max_rows,
          .cols = cols,
          .dtype = dtype,
          .buffer = allocate_host_memory(rows * row_bytes, "activations"),
          .weights = integer ? weights : QuantFormat{}};
}

void CpuBackend::set_reader(MatmulInput& input, const Matrix& weight) {
  const bool integer = is_integer(weight.format) || is_grouped(weight.format);
  // Floats are multiplied in pairs, the last of an odd number with a zero that other forms write over.
  if (!integer && input.dtype == DType::kI8 && input.cols % 2 != 0)
    std::memset(input.buffer.as<std::byte>(), 0, input.buffer.size_bytes());
  input.dtype = integer ? DType::kI8 : kernels_.activation;
  input.weights = weight.format;
  input.order = input_order(weight);
  QWEN_CHECK(static_cast<size_t>(input.max_rows) * activation_row_bytes(input) <= input.buffer.size_bytes());
}

KvLayer CpuBackend::alloc_kv(DType dtype, int num_blocks, int block_size, const HeadShape& heads) {
  if (!kernels_.stored_weights && dtype != kernels_.kv && dtype != DType::kI8) {
    throw Error(ErrorCode::kInternal, str("KV cache of type ", dtype_name(dtype), " with the kernels ", kernels_.name));
  }
  return allocate_kv(dtype, num_blocks, block_size, heads);
}

size_t CpuBackend::kv_bytes_per_token(DType dtype, const HeadShape& heads) const {
  return kv_token_bytes(dtype, heads);
}

size_t CpuBackend::weight_bytes(int64_t rows, int64_t cols, DType stored, const QuantFormat& format) const {
  if (is_grouped(format)) return grouped_weight_bytes(format, rows, cols);
  if (is_integer(format) && kernels_.integer != nullptr) return integer_weight_bytes(format, rows, cols);
  const bool wide = kernels_.stored_weights && (stored != DType::kBF16 || is_integer(format));
  return packed_weight_bytes(rows, cols, wide ? DType::kF32 : DType::kBF16);
}

// Without integer kernels a folder's integers are multiplied as the numbers that they stand for.
QuantFormat CpuBackend::prepared_format(std::span<const HostMatrix> stacked, const QuantFormat& asked) const {
  check_stack(stacked);
  const std::optional<QuantFormat> grouped = grouped_format(stacked);
  if (!grouped) return asked;
  return kernels_.integer != nullptr ? *grouped : QuantFormat{};
}

QuantFormat CpuBackend::expected_format(const QuantFormat& stored, int64_t cols, const QuantFormat& asked) const {
  const std::optional<QuantFormat> grouped = expected_grouped_format(stored, cols);
  if (!grouped) return asked;
  return kernels_.integer != nullptr ? *grouped : QuantFormat{};
}

Matrix CpuBackend::prepare(std::span<const HostMatrix> stacked, const QuantFormat& asked) {
  if (stacked.size() == 1 && stacked[0].format == asked) {
    if (is_integer(asked) && !is_integer_rows(stacked[0])) return adopt_integer_weights(stacked[0]);
    if (is_grouped(asked)) return adopt_grouped_weights(stacked[0]);
  }
  const QuantFormat format = is_grouped(asked) ? asked : prepared_format(stacked, asked);
  if (is_grouped(format)) return pack_grouped_weights(stacked, format, pool_);
  if (!is_integer(format)) return pack_weights(stacked, kernels_.stored_weights, pool_);
  if (kernels_.integer != nullptr) return pack_integer_weights(stacked, format, *kernels_.integer, pool_);
  // What the integers stand for, in f32.
  const Matrix quantized = pack_integer_weights(stacked, format, kScalarIntegerKernels, pool_);
  const int64_t rows = quantized.rows, cols = quantized.cols;
  std::vector<float> values(static_cast<size_t>(rows * cols));
  pool_.run(quantized.rows, [&](int row, int) {
    unpack_integer_row(quantized, row, kScalarIntegerKernels, values.data() + row * cols);
  });
  const HostMatrix plain{.rows = rows,
                         .cols = cols,
                         .weight = {DType::kF32, {rows, cols}, reinterpret_cast<const std::byte*>(values.data())}};
  return pack_weights({&plain, 1}, kernels_.stored_weights, pool_);
}

// The same for every instruction set: their kernels agree to the bit.
std::string CpuBackend::packing(const QuantFormat& format) const {
  if (kernels_.integer == nullptr) return {};
  if (is_grouped(format)) return str("cpu grouped panels of ", kPanelRows, ", version ", kGroupedPackingVersion);
  if (!is_integer(format)) return {};
  return str("cpu panels of ", kPanelRows, ", version ", kIntegerPackingVersion);
}

size_t CpuBackend::packed_bytes(int64_t rows, int64_t cols, const QuantFormat& format) const {
  return is_grouped(format) ? grouped_weight_bytes(format, rows, cols) : integer_weight_bytes(format, rows, cols);
}

std::span<const std::byte> CpuBackend::packed(const Matrix& matrix, std::vector<std::byte>&) const {
  return {matrix.buffer.as<std::byte>(), packed_bytes(matrix.rows, matrix.cols, matrix.format)};
}

void CpuBackend::quantize_rows(const HostMatrix& plain, int64_t first, int64_t count, const QuantFormat& format,
                               uint8_t* qweight, uint16_t* scales) {
  const IntegerKernels& kernels = kernels_.integer != nullptr ? *kernels_.integer : kScalarIntegerKernels;
  quantize_integer_rows(plain, first, count, format, kernels, pool_, qweight, scales);
}

void CpuBackend::add_gram(Tensor& gram, const MatmulInput& x, int rows) {
  QWEN_CHECK(rows <= x.max_rows && gram.shape == (Shape{x.cols, x.cols}) && x.dtype != DType::kI8);
  add_gram_matrix(gram.buffer.as<float>(), {x.buffer.as<std::byte>(), x.dtype, rows, x.cols}, kernels_.table, pool_);
}

void CpuBackend::upload(Tensor& out, const TensorView& source) {
  if (source.shape != out.shape || out.dtype != DType::kF32) {
    throw Error(ErrorCode::kBadData,
                str("tensor of shape ", to_string(source.shape), " where ", to_string(out.shape), " is expected"));
  }
  if (!is_stored_float(source.dtype))
    throw Error(ErrorCode::kBadData,
                str("tensor of type ", dtype_name(source.dtype), ": float32, float16 or bfloat16 expected"));
  float* const to = out.buffer.as<float>();
  for (int64_t i = 0; i < source.shape.num_elements(); ++i) to[i] = read_float(source, i);
}

std::span<const float> CpuBackend::read_f32(const Tensor& tensor, int rows, std::vector<float>&) {
  QWEN_CHECK(tensor.dtype == DType::kF32 && tensor.shape.rank() == 2 && rows <= tensor.shape[0]);
  return {tensor.buffer.as<float>(), static_cast<size_t>(rows) * static_cast<size_t>(tensor.shape[1])};
}

// --- The step

void CpuBackend::for_each_row(int rows, int64_t elements_per_row, FunctionRef<void(int row, int worker)> body) {
  if (rows * elements_per_row < kMinParallelElements) {
    for (int row = 0; row < rows; ++row) body(row, 0);
    return;
  }
  const int rows_per_task = static_cast<int>(std::max<int64_t>(1, kMinParallelElements / 4 / elements_per_row));
  const int tasks = (rows + rows_per_task - 1) / rows_per_task;
  pool_.run(tasks, [&](int task, int worker) {
    const int end = std::min(rows, (task + 1) * rows_per_task);
    for (int row = task * rows_per_task; row < end; ++row) body(row, worker);
  });
}

void CpuBackend::write_rows(MatmulInput& out, int rows, int64_t elements_per_row,
                            FunctionRef<void(int row, void* to, DType type)> body) {
  for_each_row(rows, elements_per_row, [&](int row, int worker) {
    if (out.dtype != DType::kI8) return body(row, row_of(out, row), out.dtype);
    float* const values = row_scratch_.data() + static_cast<size_t>(worker) * static_cast<size_t>(out.cols);
    body(row, values, DType::kF32);
    quantize_row(out, row, values);
  });
}

void CpuBackend::quantize_row(MatmulInput& out, int row, const float* values) const {
  if (is_grouped(out.weights)) {
    auto* const to = reinterpret_cast<GroupedActivations*>(row_of(out, row));
    return kernels_.integer->grouped.quantize_row({values, out.order, to, out.cols});
  }
  kernels_.integer->quantize_row({values, reinterpret_cast<Int8Activations*>(row_of(out, row)), out.cols});
}

void CpuBackend::embed(Tensor& out, const Matrix& table, std::span<const int32_t> token_ids) {
  const int rows = static_cast<int>(token_ids.size());
  QWEN_CHECK(rows <= out.shape[0] && out.shape[1] == table.cols);
  for (const int32_t id : token_ids) {  // a tokenizer may know more tokens than the weights
    if (id < 0 || id >= table.rows) {
      throw Error(ErrorCode::kInvalidValue, str("token id ", id, " is outside the model's vocabulary of ", table.rows));
    }
  }
  // A packed row is spread over as many cache lines as it has pairs: worth more than its elements.
  for_each_row(rows, 8 * int64_t{table.cols}, [&](int row, int) {
    const int id = token_ids[static_cast<size_t>(row)];
    if (is_grouped(table.format)) return unpack_grouped_row(table, id, row_of(out, row));
    if (is_integer(table.format)) return unpack_integer_row(table, id, *kernels_.integer, row_of(out, row));
    unpack_row(table, id, row_of(out, row));
  });
}

void CpuBackend::rms_norm(MatmulInput& out, const Tensor& x, const Tensor& weight, float eps, int rows) {
  QWEN_CHECK(rows <= out.max_rows && rows <= x.shape[0] && x.shape[1] == out.cols && weight.shape[0] == out.cols);
  write_rows(out, rows, out.cols, [&](int row, void* to, DType type) {
    kernels_.table.rms_norm({.out = to,
                             .out_type = type,
                             .x = row_of(x, row),
                             .delta = nullptr,
                             .residual = nullptr,
                             .weight = weight.buffer.as<float>(),
                             .eps = eps,
                             .cols = out.cols});
  });
}

void CpuBackend::add_rms_norm(MatmulInput& out, Tensor& residual, const Tensor& delta, const Tensor& weight, float eps,
                              int rows) {
  QWEN_CHECK(rows <= out.max_rows && rows <= residual.shape[0] && rows <= delta.shape[0] &&
             residual.shape[1] == out.cols && delta.shape[1] == out.cols && weight.shape[0] == out.cols);
  write_rows(out, rows, out.cols, [&](int row, void* to, DType type) {
    kernels_.table.rms_norm({.out = to,
                             .out_type = type,
                             .x = row_of(residual, row),
                             .delta = row_of(delta, row),
                             .residual = row_of(residual, row),
                             .weight = weight.buffer.as<float>(),
                             .eps = eps,
                             .cols = out.cols});
  });
}

void CpuBackend::matmul(Tensor& out, const MatmulInput& in, const Matrix& weight, const Tensor* bias, int rows) {
  QWEN_CHECK(rows <= out.shape[0] && rows <= in.max_rows && in.cols == weight.cols && out.shape[1] == weight.rows);
  QWEN_CHECK(bias == nullptr || bias->shape[0] == weight.rows);
  QWEN_CHECK(is_grouped(weight.format) == is_grouped(in.weights) && in.order == input_order(weight));
  QWEN_CHECK((is_integer(weight.format) || is_grouped(weight.format)) == (in.dtype == DType::kI8));
  if (rows == 0) return;
  const Product product{out, in, weight, bias ? bias->buffer.as<float>() : nullptr, rows};
  const QuantFormat& format = weight.format;
  if (is_grouped(format)) {
    const GroupedKernels& kernels = kernels_.integer->grouped;
    GroupedMatmulTask shape = grouped_task(weight);
    shape.x_stride = activation_row_bytes(in);
    return run_product(pool_, product, kIntegerTaskRows, grouped_panel_bytes(format, weight.cols), shape,
                       format.bits == 8 ? kernels.matmul8 : kernels.matmul4);
  }
  if (is_integer(format)) {
    const IntegerKernels& kernels = *kernels_.integer;
    IntegerMatmulTask shape = {};
    shape.x_stride = activation_row_bytes(in);
    shape.groups = integer_groups(weight.cols);
    return run_product(pool_, product, kIntegerTaskRows, integer_panel_bytes(format, weight.cols), shape,
                       format.kind == QuantFormat::Kind::kInt8 ? kernels.matmul_int8
                       : is_int4_half(format)                  ? kernels.matmul_int4_half
                                                               : kernels.matmul_int4);
  }
  MatmulTask shape = {};
  shape.x_stride = activation_stride(in.cols, dtype_size(in.dtype));
  shape.x_type = in.dtype;
  shape.w_type = weight.dtype;
  shape.pairs = (weight.cols + 1) / 2;
  run_product(pool_, product, kMatmulRows, static_cast<size_t>(panel_elements(shape.pairs)) * dtype_size(weight.dtype),
              shape, kernels_.table.matmul);
}

void CpuBackend::qk_norm_rope(Tensor& qkv, const HeadShape& heads, const Tensor& q_norm, const Tensor& k_norm,
                              float eps, const Tensor& cos, const Tensor& sin, std::span<const int32_t> positions) {
  const int rows = static_cast<int>(positions.size());
  QWEN_CHECK(rows <= qkv.shape[0] && qkv.shape[1] == heads.qkv_size() && cos.shape == sin.shape &&
             cos.shape[1] == heads.head_dim / 2 && q_norm.shape[0] == heads.head_dim &&
             k_norm.shape[0] == heads.head_dim);
  for (const int32_t position : positions) QWEN_CHECK(position >= 0 && position < cos.shape[0]);
  const int rotated = heads.num_heads + heads.num_kv_heads;
  for_each_row(rows, 2 * int64_t{rotated} * heads.head_dim, [&](int row, int) {
    const int position = positions[static_cast<size_t>(row)];
    for (int head = 0; head < rotated; ++head) {
      kernels_.table.norm_rope({.head = row_of(qkv, row) + head * heads.head_dim,
                                .weight = (head < heads.num_heads ? q_norm : k_norm).buffer.as<float>(),
                                .cos = row_of(cos, position),
                                .sin = row_of(sin, position),
                                .eps = eps,
                                .head_dim = heads.head_dim});
    }
  });
}

void CpuBackend::store_kv(KvLayer& kv, const Tensor& qkv, std::span<const int32_t> slot_mapping) {
  const HeadShape& heads = kv.heads;
  const int rows = static_cast<int>(slot_mapping.size());
  QWEN_CHECK(rows <= qkv.shape[0] && qkv.shape[1] == heads.qkv_size());
  const int64_t slots = int64_t{kv.num_blocks} * kv.block_size;
  for (const int32_t slot : slot_mapping) QWEN_CHECK(slot >= 0 && slot < slots);
  const auto quantize = (kernels_.integer ? *kernels_.integer : kScalarIntegerKernels).quantize_row;
  // One head a task, so that the two tokens of a pair are stored in order by one thread.
  for_each_row(heads.num_kv_heads, 4 * int64_t{rows} * heads.head_dim, [&](int head, int) {
    for (int row = 0; row < rows; ++row) {
      const float* const key = row_of(qkv, row) + heads.q_size() + head * heads.head_dim;
      store_kv_head(kv, head, slot_mapping[static_cast<size_t>(row)], key, key + heads.kv_size(), quantize);
    }
  });
}

void CpuBackend::paged_attention(MatmulInput& out, const Tensor& qkv, const KvLayer& kv,
                                 const AttentionMetadata& metadata) {
  const int rows = metadata.query_start.back();
  QWEN_CHECK(out.cols == kv.heads.q_size() && rows <= out.max_rows && rows <= qkv.shape[0]);
  if (out.dtype != DType::kI8) {
    return attention_.run({row_of(out, 0), activation_row_bytes(out), out.dtype}, qkv, kv, metadata);
  }
  const size_t cols = static_cast<size_t>(out.cols);
  attention_.run({attended_.as<std::byte>(), cols * sizeof(float), DType::kF32}, qkv, kv, metadata);
  for_each_row(rows, out.cols,
               [&](int row, int) { quantize_row(out, row, attended_.as<float>() + static_cast<size_t>(row) * cols); });
}

void CpuBackend::silu_and_mul(MatmulInput& out, const Tensor& gate_up, int rows) {
  QWEN_CHECK(rows <= out.max_rows && rows <= gate_up.shape[0] && gate_up.shape[1] == 2 * out.cols);
  write_rows(out, rows, 2 * int64_t{out.cols}, [&](int row, void* to, DType type) {
    const float* const gate = row_of(gate_up, row);
    kernels_.table.silu_and_mul({.out = to, .out_type = type, .gate = gate, .up = gate + out.cols, .n = out.cols});
  });
}

void CpuBackend::gather_rows(Tensor& out, const Tensor& x, std::span<const int32_t> rows) {
  QWEN_CHECK(static_cast<int64_t>(rows.size()) <= out.shape[0] && out.shape[1] == x.shape[1]);
  for (size_t i = 0; i < rows.size(); ++i) {
    QWEN_CHECK(rows[i] >= 0 && rows[i] < x.shape[0]);
    std::memcpy(row_of(out, static_cast<int>(i)), row_of(x, rows[i]), static_cast<size_t>(x.shape[1]) * sizeof(float));
  }
}

}  // namespace qwen
