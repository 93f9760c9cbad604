#include "backend/create.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "backend/cpu/cpu_features.h"
#include "backend/cpu/host_memory.h"
#include "backend/cpu/machine_probe.h"
#include "base/error.h"

namespace qwen {
namespace {

ErrorCode code_of(const BackendOptions& options) {
  try {
    create_backend(options);
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("choose"), std::string::npos) << error.what();
    return error.code();
  }
  return ErrorCode::kInternal;
}

TEST(CreateTest, ReferenceComesLastAndAutoTakesTheFirst) {
  const std::vector<std::string> names = available_kernels();
  ASSERT_FALSE(names.empty());
  EXPECT_EQ(names.back(), "reference");
  EXPECT_EQ(create_backend({})->kernels(), names.front());
  for (const std::string& name : names) EXPECT_EQ(create_backend({.kernels = name, .threads = 1})->kernels(), name);
  EXPECT_EQ(create_backend({})->name(), "cpu");
}

TEST(CreateTest, WrongOptionsAreErrorsThatSayTheMend) {
  EXPECT_EQ(code_of({.device = "tpu"}), ErrorCode::kUsage);
  EXPECT_EQ(code_of({.device = "cuda:0"}), ErrorCode::kDeviceUnavailable);
  EXPECT_EQ(code_of({.kernels = "avx3"}), ErrorCode::kUsage);
  EXPECT_EQ(code_of({.threads = -1}), ErrorCode::kUsage);
  EXPECT_EQ(code_of({.kv_cache_dtype = "float16"}), ErrorCode::kUsage);
  EXPECT_EQ(code_of({.threads = 1 << 20}), ErrorCode::kUsage);
  if (!detect_cpu_features().avx512_bf16) {
    EXPECT_EQ(code_of({.kernels = "avx512_bf16"}), ErrorCode::kDeviceUnavailable);
  }
}

TEST(CreateTest, TheKvCacheHasTheTypeThatIsAskedFor) {
  constexpr HeadShape kHeads{8, 2, 128};
  for (const std::string& name : available_kernels()) {
    const DType preferred = create_backend({.kernels = name, .threads = 1})->kv_dtype();
    EXPECT_EQ(preferred, name == "reference" ? DType::kF32 : DType::kBF16);
    for (const auto& [asked, dtype] : {std::pair{"bfloat16", DType::kBF16}, {"int8", DType::kI8}}) {
      const auto backend = create_backend({.kernels = name, .threads = 1, .kv_cache_dtype = asked});
      EXPECT_EQ(backend->kv_dtype(), dtype) << name;
      const KvLayer kv = backend->alloc_kv(dtype, 3, 64, kHeads);
      EXPECT_EQ(kv.buffer.size_bytes(), 3 * 64 * backend->kv_bytes_per_token(dtype, kHeads)) << name << " " << asked;
    }
  }
}

TEST(CreateTest, WeightsTakeTheBytesThatTheBackendSays) {
  for (const std::string& name : available_kernels()) {
    const auto backend = create_backend({.kernels = name, .threads = 1});
    for (const DType stored : {DType::kBF16, DType::kF16, DType::kF32}) {
      const std::vector<std::byte> zeros(32 * 64 * dtype_size(stored));
      const HostMatrix matrix{.rows = 32, .cols = 64, .weight = {stored, {32, 64}, zeros.data()}};
      EXPECT_EQ(backend->prepare({&matrix, 1}, {}).buffer.size_bytes(), backend->weight_bytes(32, 64, stored, {}))
          << name << " " << dtype_name(stored);
    }
  }
}

TEST(HostMemoryTest, IsZeroAlignedAndTooMuchIsAnError) {
  for (const size_t bytes : {size_t{0}, size_t{1}, size_t{4097}, (size_t{2} << 20) + 5, size_t{7} << 20}) {
    DeviceBuffer buffer = allocate_host_memory(bytes, "a test");
    EXPECT_GE(buffer.size_bytes(), bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.as<char>()) % 64, 0u);
    const unsigned char* const data = buffer.as<unsigned char>();
    EXPECT_TRUE(std::all_of(data, data + buffer.size_bytes(), [](unsigned char b) { return b == 0; }));
    buffer.as<unsigned char>()[buffer.size_bytes() - 1] = 1;
  }
  for (const size_t bytes : {size_t{1} << 60, ~size_t{0}, ~size_t{0} - 100}) {
    EXPECT_THROW(allocate_host_memory(bytes, "a test"), Error);
  }
}

TEST(HostMemoryTest, UntouchedMemoryCostsNothing) {
  const size_t before = available_host_memory();
  const DeviceBuffer buffer = allocate_host_memory(size_t{64} << 30, "a cache that may grow");
  const size_t after = available_host_memory();
  EXPECT_GT(after + (size_t{8} << 30), before);  // others on the machine allocate too
}

TEST(BackendMemoryTest, UploadConvertsAndRefusesWhatDoesNotFit) {
  const std::unique_ptr<Backend> backend = create_backend({.threads = 1});
  Tensor tensor = backend->alloc(DType::kF32, {2, 2});
  std::vector<float> scratch;
  const std::vector<uint16_t> bf16 = {0x3f80, 0xc000, 0x0000, 0x4049}, f16 = {0x3c00, 0xc000, 0x0001, 0x7bff};
  const auto view = [](DType dtype, const Shape& shape, const auto& values) {
    return TensorView{dtype, shape, reinterpret_cast<const std::byte*>(values.data())};
  };
  const auto values = [&] {
    const std::span<const float> span = backend->read_f32(tensor, 2, scratch);
    return std::vector<float>(span.begin(), span.end());
  };
  backend->upload(tensor, view(DType::kBF16, {2, 2}, bf16));
  EXPECT_EQ(values(), (std::vector<float>{1, -2, 0, 3.140625f}));
  backend->upload(tensor, view(DType::kF16, {2, 2}, f16));
  EXPECT_EQ(values(), (std::vector<float>{1, -2, 0x1p-24f, 65504}));
  EXPECT_THROW(backend->upload(tensor, view(DType::kBF16, {4}, bf16)), Error);
  EXPECT_THROW(backend->upload(tensor, view(DType::kI8, {2, 2}, bf16)), Error);
  EXPECT_THROW(backend->alloc(DType::kF32, {int64_t{1} << 40, int64_t{1} << 40}), Error);
  EXPECT_GT(backend->free_memory(), 0u);

  Tensor gathered = backend->alloc(DType::kF32, {3, 2});
  backend->gather_rows(gathered, tensor, std::vector<int32_t>{1, 0, 1});
  const std::span<const float> rows = backend->read_f32(gathered, 3, scratch);
  EXPECT_EQ(std::vector<float>(rows.begin(), rows.end()),
            (std::vector<float>{0x1p-24f, 65504, 1, -2, 0x1p-24f, 65504}));
}

TEST(MachineProbeTest, FindsSomeBandwidthAndSomeArithmetic) {
  for (const std::string& name : available_kernels()) {
    const MachineCeilings ceilings = probe_machine(name, 1, 0.02, size_t{8} << 20);
    EXPECT_GT(ceilings.read_gbs, 0.05) << name;
    EXPECT_GT(ceilings.dot_gflops, 0.05) << name;
    EXPECT_LT(ceilings.read_gbs, 2000) << name;
    EXPECT_LT(ceilings.dot_gflops, 20000) << name;
    const double small_pages = probe_small_page_reads(name, 1, 0.02, size_t{8} << 20);
    EXPECT_GT(small_pages, 0.05) << name;
    EXPECT_LT(small_pages, 2000) << name;
  }
}

}  // namespace
}  // namespace qwen
