// The CPU backend's operations at the shapes of Qwen3-4B, each beside the machine's ceiling: matmul by rows (1 =
// decode), attention of one decoded token by depth, attention of a prompt, the element-wise operations.
//
//   kernels_bench [--benchmark_filter=…]      QWEN_BENCH_THREADS, QWEN_BENCH_KERNELS, QWEN_BENCH_FORMAT and
//   QWEN_BENCH_KV choose threads (0 = all), kernels (auto), the format of the weights (none, int8, int4; gptq or awq: a
//   folder's own 4 bits in groups of 128, symmetric or with zero points; gptq-g32; gptq-8bit) and the type of the KV
//   cache (auto, bfloat16, int8)
//
// GB/s and GFLOPS are those of the operation; `of_ceiling` divides by the read bandwidth or by the dot-product peak
// probed right before the benchmark, whichever bounds it.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <numeric>
#include <random>
#include <vector>

#include "backend/cpu/machine_probe.h"
#include "backend/create.h"
#include "base/dtype.h"
#include "model/weight_formats.h"

namespace qwen {
namespace {

constexpr int kHidden = 2560, kFfn = 9728, kVocab = 151936;
constexpr HeadShape kHeads{32, 8, 128};

int threads() {
  const char* value = std::getenv("QWEN_BENCH_THREADS");
  return value ? std::atoi(value) : 0;
}
std::string kernels() {
  const char* value = std::getenv("QWEN_BENCH_KERNELS");
  return value ? value : "auto";
}
std::string kv_cache_dtype() {
  const char* value = std::getenv("QWEN_BENCH_KV");
  return value ? value : "auto";
}

std::string format_name() {
  const char* value = std::getenv("QWEN_BENCH_FORMAT");
  return value ? value : "none";
}
// As Backend::prepare answers.
QuantFormat format() {
  const std::string name = format_name();
  if (!name.starts_with("gptq") && name != "awq") return weight_formats(name).linear;
  return {.kind = QuantFormat::Kind::kGrouped,
          .bits = name == "gptq-8bit" ? 8 : 4,
          .group_size = name == "gptq-g32" ? 32 : 128,
          .zero_points = name == "awq"};
}
bool integer() { return format().kind != QuantFormat::Kind::kNone; }
MachineCeilings probe(bool integer_dot = integer()) {
  return probe_machine(kernels(), threads(), 0.3, size_t{1} << 30, integer_dot ? ProbedDot::kInt8 : ProbedDot::kFloat);
}

Backend& backend() {
  static const std::unique_ptr<Backend> instance =
      create_backend({.device = "cpu", .kernels = kernels(), .threads = threads(), .kv_cache_dtype = kv_cache_dtype()});
  return *instance;
}

std::vector<float> random_values(size_t n) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> block(std::min<size_t>(n, 1 << 16)), values(n);
  for (float& v : block) v = uniform(random);
  for (size_t i = 0; i < n; ++i) values[i] = block[i % block.size()];
  return values;
}

Tensor random_tensor(const Shape& shape) {
  const std::vector<float> values = random_values(static_cast<size_t>(shape.num_elements()));
  Tensor tensor = backend().alloc(DType::kF32, shape);
  backend().upload(tensor, {DType::kF32, shape, reinterpret_cast<const std::byte*>(values.data())});
  return tensor;
}

MatmulInput random_input(int rows, int cols) {
  MatmulInput input = backend().alloc_matmul_input(rows, cols, format());
  backend().rms_norm(input, random_tensor({rows, cols}), random_tensor({cols}), 1e-6f, rows);
  return input;
}

// A GPTQ folder's matrix, with zero points other than the middle where the format has them.
std::vector<Matrix> random_grouped_matrices(int rows, int cols, int copies) {
  const int bits = format().bits, fields = 32 / bits, groups = cols / format().group_size;
  std::mt19937 random(1);
  std::vector<uint32_t> weight(static_cast<size_t>(rows) * static_cast<size_t>(cols / fields));
  for (uint32_t& word : weight) word = random();
  const uint32_t middle = bits == 8 ? 0x80808080u : 0x88888888u;
  const std::vector<uint32_t> zeros(static_cast<size_t>(rows / fields * groups),
                                    middle - (format().zero_points ? 1 : 0));
  const std::vector<uint16_t> scales(static_cast<size_t>(rows * groups), f32_to_f16(0.01f));
  const auto view = [](DType dtype, const Shape& shape, const auto& data) {
    return TensorView{dtype, shape, reinterpret_cast<const std::byte*>(data.data())};
  };
  const HostMatrix host{.format = {.kind = QuantFormat::Kind::kGptq, .bits = bits, .group_size = format().group_size},
                        .rows = rows,
                        .cols = cols,
                        .weight = view(DType::kI32, {cols / fields, rows}, weight),
                        .scales = view(DType::kF16, {groups, rows}, scales),
                        .zeros = view(DType::kI32, {groups, rows / fields}, zeros)};
  std::vector<Matrix> matrices;
  for (int i = 0; i < copies; ++i) matrices.push_back(backend().prepare({&host, 1}, format()));
  return matrices;
}

std::vector<Matrix> random_matrices(int rows, int cols, int copies) {
  if (format().kind == QuantFormat::Kind::kGrouped) return random_grouped_matrices(rows, cols, copies);
  const std::vector<float> values = random_values(static_cast<size_t>(rows) * static_cast<size_t>(cols));
  std::vector<uint16_t> bits(values.size());
  for (size_t i = 0; i < values.size(); ++i) bits[i] = f32_to_bf16(values[i]);
  const HostMatrix host{{}, rows, cols, {DType::kBF16, {rows, cols}, reinterpret_cast<const std::byte*>(bits.data())}};
  std::vector<Matrix> matrices;
  for (int i = 0; i < copies; ++i) matrices.push_back(backend().prepare({&host, 1}, format()));
  return matrices;
}

int64_t weight_bytes(int rows, int cols) {
  return static_cast<int64_t>(backend().weight_bytes(rows, cols, DType::kBF16, format()));
}

// More than any cache, so that every call reads its weights from memory, as a forward pass does.
int copies_for(int rows, int cols) {
  return std::max(1, static_cast<int>((int64_t{600} << 20) / weight_bytes(rows, cols)));
}

void report(benchmark::State& state, const MachineCeilings& ceilings, double bytes, double operations) {
  const double n = static_cast<double>(state.iterations());
  state.counters["GB/s"] = benchmark::Counter(bytes * n / 1e9, benchmark::Counter::kIsRate);
  state.counters["GFLOPS"] = benchmark::Counter(operations * n / 1e9, benchmark::Counter::kIsRate);
  const double memory = bytes / 1e9 / ceilings.read_gbs, compute = operations / 1e9 / ceilings.dot_gflops;
  state.counters["of_ceiling"] = benchmark::Counter(std::max(memory, compute) * n, benchmark::Counter::kIsRate);
}

void BM_Matmul(benchmark::State& state) {
  const int outputs = static_cast<int>(state.range(0)), cols = static_cast<int>(state.range(1)),
            rows = static_cast<int>(state.range(2));
  const std::vector<Matrix> weights = random_matrices(outputs, cols, copies_for(outputs, cols));
  const MatmulInput input = random_input(rows, cols);
  Tensor out = backend().alloc(DType::kF32, {rows, outputs});
  const MachineCeilings ceilings = probe();
  size_t next = 0;
  for (auto _ : state) {
    backend().matmul(out, input, weights[next], nullptr, rows);
    next = (next + 1) % weights.size();
  }
  report(state, ceilings, static_cast<double>(weight_bytes(outputs, cols)), 2.0 * outputs * cols * rows);
}

void matmul_shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"outputs", "cols", "rows"});
  const std::vector<std::pair<int, int>> shapes = {
      {kHeads.qkv_size(), kHidden}, {kHidden, kHeads.q_size()}, {2 * kFfn, kHidden}, {kHidden, kFfn}};
  for (const auto& [outputs, cols] : shapes) {
    for (const int rows : {1, 2, 4, 8, 16, 64, 512}) b->Args({outputs, cols, rows});
  }
  b->Args({kVocab, kHidden, 1})->Args({kVocab, kHidden, 8});
}
BENCHMARK(BM_Matmul)
    ->Apply(matmul_shapes)
    ->UseRealTime()
    ->MeasureProcessCPUTime()
    ->MinTime(0.5)
    ->Unit(benchmark::kMicrosecond);

// `new_tokens` at the end of a context of `depth`, in as many layers' caches as exceed the processor's.
void BM_Attention(benchmark::State& state) {
  const int depth = static_cast<int>(state.range(0)), rows = static_cast<int>(state.range(1)),
            layers = rows == 1 ? 36 : 2;
  const int block_size = backend().kv_block_size(), blocks = (depth + block_size - 1) / block_size;
  std::vector<KvLayer> kv;
  std::vector<int32_t> table(static_cast<size_t>(blocks));
  std::iota(table.begin(), table.end(), 0);
  std::vector<int32_t> slots(static_cast<size_t>(depth));
  std::iota(slots.begin(), slots.end(), 0);
  const Tensor qkv = random_tensor({depth, kHeads.qkv_size()});
  for (int layer = 0; layer < layers; ++layer) {
    kv.push_back(backend().alloc_kv(backend().kv_dtype(), blocks, block_size, kHeads));
    backend().store_kv(kv.back(), qkv, slots);
  }
  MatmulInput out = backend().alloc_matmul_input(rows, kHeads.q_size(), format());
  const std::vector<int32_t> query_start = {0, rows}, context_lens = {depth};
  const AttentionMetadata metadata{query_start, context_lens, table, blocks};
  const MachineCeilings ceilings = probe(backend().kv_dtype() == DType::kI8);
  size_t next = 0;
  for (auto _ : state) {
    backend().paged_attention(out, qkv, kv[next], metadata);
    next = (next + 1) % kv.size();
  }
  const double bytes =
      static_cast<double>(depth) * static_cast<double>(backend().kv_bytes_per_token(backend().kv_dtype(), kHeads));
  report(state, ceilings, bytes, 4.0 * kHeads.q_size() * rows * (depth - rows / 2.0));
}
BENCHMARK(BM_Attention)
    ->ArgNames({"depth", "rows"})
    ->Args({64, 1})
    ->Args({512, 1})
    ->Args({2048, 1})
    ->Args({8192, 1})
    ->Args({512, 512})
    ->Args({4096, 512})
    ->UseRealTime()
    ->MinTime(0.5)
    ->Unit(benchmark::kMicrosecond);

// A whole transformer layer: `rows` new tokens that end a context of `depth`. Eight layers in turn, each with its own
// weights.
void BM_Layer(benchmark::State& state) {
  constexpr int kLayers = 8;
  const int rows = static_cast<int>(state.range(0)), depth = static_cast<int>(state.range(1));
  const int block_size = backend().kv_block_size(), blocks = (depth + block_size - 1) / block_size;
  const std::vector<Matrix> qkv_proj = random_matrices(kHeads.qkv_size(), kHidden, kLayers);
  const std::vector<Matrix> o_proj = random_matrices(kHidden, kHeads.q_size(), kLayers);
  const std::vector<Matrix> gate_up_proj = random_matrices(2 * kFfn, kHidden, kLayers);
  const std::vector<Matrix> down_proj = random_matrices(kHidden, kFfn, kLayers);
  std::vector<KvLayer> kv;
  for (int i = 0; i < kLayers; ++i) kv.push_back(backend().alloc_kv(backend().kv_dtype(), blocks, block_size, kHeads));
  std::vector<int32_t> table(static_cast<size_t>(blocks)), positions(static_cast<size_t>(rows));
  std::iota(table.begin(), table.end(), 0);
  std::iota(positions.begin(), positions.end(), depth - rows);
  const std::vector<int32_t> query_start = {0, rows}, context_lens = {depth};
  const AttentionMetadata metadata{query_start, context_lens, table, blocks};

  Tensor residual = random_tensor({rows, kHidden}), x = random_tensor({rows, kHidden});
  const Tensor norm = random_tensor({kHidden}), head_norm = random_tensor({kHeads.head_dim});
  const Tensor rotary = random_tensor({depth, kHeads.head_dim / 2});
  Tensor qkv = backend().alloc(DType::kF32, {rows, kHeads.qkv_size()}),
         gate_up = backend().alloc(DType::kF32, {rows, 2 * kFfn});
  MatmulInput h = backend().alloc_matmul_input(rows, kHidden, format()),
              attended = backend().alloc_matmul_input(rows, kHeads.q_size(), format());
  MatmulInput activated = backend().alloc_matmul_input(rows, kFfn, format());
  const MachineCeilings ceilings = probe();
  size_t i = 0;
  for (auto _ : state) {
    backend().add_rms_norm(h, residual, x, norm, 1e-6f, rows);
    backend().matmul(qkv, h, qkv_proj[i], nullptr, rows);
    backend().qk_norm_rope(qkv, kHeads, head_norm, head_norm, 1e-6f, rotary, rotary, positions);
    backend().store_kv(kv[i], qkv, positions);
    backend().paged_attention(attended, qkv, kv[i], metadata);
    backend().matmul(x, attended, o_proj[i], nullptr, rows);
    backend().add_rms_norm(h, residual, x, norm, 1e-6f, rows);
    backend().matmul(gate_up, h, gate_up_proj[i], nullptr, rows);
    backend().silu_and_mul(activated, gate_up, rows);
    backend().matmul(x, activated, down_proj[i], nullptr, rows);
    i = (i + 1) % kLayers;
  }
  const double parameters = double{kHidden} * (kHeads.qkv_size() + kHeads.q_size() + 3.0 * kFfn);
  const double kv_bytes =
      static_cast<double>(depth) * static_cast<double>(backend().kv_bytes_per_token(backend().kv_dtype(), kHeads));
  const double bytes = static_cast<double>(weight_bytes(kHeads.qkv_size() + 2 * kFfn, kHidden) +
                                           weight_bytes(kHidden, kHeads.q_size()) + weight_bytes(kHidden, kFfn));
  report(state, ceilings, bytes + kv_bytes,
         2 * parameters * rows + 4.0 * kHeads.q_size() * rows * (depth - rows / 2.0));
}
BENCHMARK(BM_Layer)
    ->ArgNames({"rows", "depth"})
    ->Args({1, 128})
    ->Args({1, 2048})
    ->Args({8, 128})
    ->Args({16, 128})
    ->Args({512, 512})
    ->UseRealTime()
    ->MeasureProcessCPUTime()
    ->MinTime(1.0)
    ->Unit(benchmark::kMicrosecond);

void BM_AddRmsNorm(benchmark::State& state) {
  const int rows = static_cast<int>(state.range(0));
  Tensor residual = random_tensor({rows, kHidden});
  const Tensor delta = random_tensor({rows, kHidden}), weight = random_tensor({kHidden});
  MatmulInput out = backend().alloc_matmul_input(rows, kHidden, format());
  for (auto _ : state) backend().add_rms_norm(out, residual, delta, weight, 1e-6f, rows);
}
BENCHMARK(BM_AddRmsNorm)->Arg(1)->Arg(8)->Arg(512)->UseRealTime()->Unit(benchmark::kMicrosecond);

void BM_SiluAndMul(benchmark::State& state) {
  const int rows = static_cast<int>(state.range(0));
  const Tensor gate_up = random_tensor({rows, 2 * kFfn});
  MatmulInput out = backend().alloc_matmul_input(rows, kFfn, format());
  for (auto _ : state) backend().silu_and_mul(out, gate_up, rows);
}
BENCHMARK(BM_SiluAndMul)->Arg(1)->Arg(8)->Arg(512)->UseRealTime()->Unit(benchmark::kMicrosecond);

void BM_QkNormRope(benchmark::State& state) {
  const int rows = static_cast<int>(state.range(0));
  Tensor qkv = random_tensor({rows, kHeads.qkv_size()});
  const Tensor weight = random_tensor({kHeads.head_dim}), table = random_tensor({rows, kHeads.head_dim / 2});
  std::vector<int32_t> positions(static_cast<size_t>(rows));
  std::iota(positions.begin(), positions.end(), 0);
  for (auto _ : state) backend().qk_norm_rope(qkv, kHeads, weight, weight, 1e-6f, table, table, positions);
}
BENCHMARK(BM_QkNormRope)->Arg(1)->Arg(8)->Arg(512)->UseRealTime()->Unit(benchmark::kMicrosecond);

void BM_StoreKv(benchmark::State& state) {
  const int rows = static_cast<int>(state.range(0)), block_size = backend().kv_block_size();
  KvLayer kv = backend().alloc_kv(backend().kv_dtype(), (rows + block_size - 1) / block_size, block_size, kHeads);
  const Tensor qkv = random_tensor({rows, kHeads.qkv_size()});
  std::vector<int32_t> slots(static_cast<size_t>(rows));
  std::iota(slots.begin(), slots.end(), 0);
  for (auto _ : state) backend().store_kv(kv, qkv, slots);
}
BENCHMARK(BM_StoreKv)->Arg(1)->Arg(512)->UseRealTime()->Unit(benchmark::kMicrosecond);

void BM_Embed(benchmark::State& state) {
  const int rows = static_cast<int>(state.range(0));
  const Matrix table = random_matrices(kVocab, kHidden, 1).front();
  std::vector<int32_t> ids;
  for (int i = 0; i < rows; ++i) ids.push_back(static_cast<int32_t>(int64_t{i} * 7919 % kVocab));
  Tensor out = backend().alloc(DType::kF32, {rows, kHidden});
  for (auto _ : state) backend().embed(out, table, ids);
}
BENCHMARK(BM_Embed)->Arg(1)->Arg(512)->UseRealTime()->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace qwen

BENCHMARK_MAIN();
