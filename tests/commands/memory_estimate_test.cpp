// What inspect says beside what loading really takes.
#include "commands/memory_estimate.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/kernel_set.h"
#include "backend/create.h"
#include "commands/format_number.h"
#include "commands/load_service.h"
#include "commands/weight_format.h"
#include "model/integer_folder.h"
#include "model/quantized_config.h"
#include "model/registry.h"
#include "model/tensor_names.h"
#include "support/tiny_checkpoint.h"
#include "weights/model_folder_writer.h"

namespace qwen {
namespace {

namespace fs = std::filesystem;

ModelConfig qwen3_4b() {
  ModelConfig config;
  config.hidden_size = 2560;
  config.intermediate_size = 9728;
  config.num_hidden_layers = 36;
  config.num_attention_heads = 32;
  config.num_key_value_heads = 8;
  config.head_dim = 128;
  config.vocab_size = 151936;
  config.max_position_embeddings = 262144;
  config.tie_word_embeddings = true;
  return config;
}

// What loading asks the backend for.
struct Taken {
  uint64_t matrix_bytes = 0, matrices = 0;
};

class Counting : public CpuBackend {
 public:
  Counting(const KernelSet& kernels, Taken& taken) : CpuBackend(kernels, 1), taken_(taken) {}
  Matrix prepare(std::span<const HostMatrix> stacked, const QuantFormat& format) override {
    Matrix matrix = CpuBackend::prepare(stacked, format);
    taken_.matrix_bytes += matrix.buffer.size_bytes();
    ++taken_.matrices;
    return matrix;
  }

 private:
  Taken& taken_;
};

// For every format that `folder` can be served in.
void expect_what_loading_takes(const fs::path& folder, const std::string& head_format = "auto") {
  const ModelConfig config = ModelConfig::load(folder);
  const Checkpoint checkpoint = Checkpoint::open(folder);
  for (const std::string& kernels : available_kernels()) {
    ServiceConfig service;
    service.model_path = folder.string();
    service.kernels = kernels;
    service.head_format = head_format;
    const auto backend = create_backend({.kernels = kernels, .threads = 1});
    for (const FormatEstimate& estimate : estimate_formats(service, config, &checkpoint, *backend)) {
      service.quantization_format = estimate.format;
      const WeightFormats formats = choose_format(service, config).formats;
      EXPECT_EQ(estimate.head_format, weight_format_name(formats.head));
      Taken taken;
      load_model(checkpoint, config, std::make_unique<Counting>(choose_kernel_set(kernels), taken),
                 model_options(service, config, formats));
      uint64_t vectors = 0;
      for (const ExpectedTensor& tensor : required_tensors(config))
        if (!tensor.linear) vectors += static_cast<uint64_t>(tensor.shape.num_elements()) * sizeof(float);
      // Each buffer is rounded up to 64 bytes.
      EXPECT_LE(estimate.weight_bytes, taken.matrix_bytes + vectors)
          << folder << ' ' << kernels << ' ' << estimate.format;
      EXPECT_GT(estimate.weight_bytes + 64 * taken.matrices, taken.matrix_bytes + vectors)
          << folder << ' ' << kernels << ' ' << estimate.format;
    }
  }
}

TEST(MemoryEstimate, IsWhatLoadingTakes) {
  for (const DType dtype : {DType::kBF16, DType::kF16, DType::kF32}) {
    const TinyCheckpoint model(
        {.intermediate_size = 161, .tie_word_embeddings = false, .attention_bias = true, .dtype = dtype});
    expect_what_loading_takes(model.folder());
    expect_what_loading_takes(model.folder(), "none");
    expect_what_loading_takes(model.folder(), "int8");
  }
}

TEST(MemoryEstimate, IsWhatLoadingTakesOfAFolderOfQuantize) {
  const TinyCheckpoint model({.dtype = DType::kBF16});
  const ScratchFolder scratch;
  for (const char* format : {"int8", "int4", "int4-g64"}) {
    const fs::path folder = scratch.path() / format;
    ModelFolderWriter writer(folder, false);
    write_integer_folder(Checkpoint::open(model.folder()), ModelConfig::load(model.folder()), weight_formats(format),
                         *create_backend({}), writer, {});
    writer.finish(integer_config_json(model.folder(), weight_formats(format)));
    expect_what_loading_takes(folder);
  }
}

// Among them parts whose orders differ, and groups that the kernels have no form for.
TEST(MemoryEstimate, IsWhatLoadingTakesOfEveryGoldenModel) {
  const fs::path golden = fs::path(QWEN_SHARED_DATA) / "golden/tiny-models";
  if (!fs::exists(golden)) GTEST_SKIP() << "no golden models in " << QWEN_SHARED_DATA;
  for (const auto& entry : fs::directory_iterator(golden)) expect_what_loading_takes(entry.path());
}

TEST(MemoryEstimate, Qwen3With4BParameters) {
  const auto backend = create_backend({.threads = 1});
  if (backend->packing(weight_formats("int4").linear).empty()) GTEST_SKIP() << "this CPU multiplies no integers";
  const auto estimates = [&](const ModelConfig& config) { return estimate_formats({}, config, nullptr, *backend); };
  // 4,022,468,096 parameters, of which 3,633,315,840 in linear layers.
  constexpr uint64_t kLinear = 3633315840, kHead = uint64_t{151936} * 2560, kNorms = 4022468096 - kLinear - kHead;
  constexpr uint64_t kInt8Head = kHead + kHead / 128 * 2, kVectors = kNorms * 4;
  ModelConfig config = qwen3_4b();
  const std::vector<FormatEstimate> plain = estimates(config);
  ASSERT_EQ(plain.size(), 3u);
  EXPECT_EQ(plain[0].weight_bytes, kVectors + (kLinear + kHead) * 2);
  EXPECT_EQ(plain[1].weight_bytes, kVectors + kLinear + kLinear / 128 * 2 + kInt8Head);
  EXPECT_EQ(plain[2].weight_bytes, kVectors + kLinear / 2 + kLinear / 128 * 2 + kInt8Head);
  EXPECT_EQ(plain[0].head_format, "none");
  EXPECT_EQ(plain[2].head_format, "int8");

  config.quantization = {"gptq", {.kind = QuantFormat::Kind::kGptq, .bits = 4, .group_size = 128}, {}};
  const std::vector<FormatEstimate> gptq = estimates(config);
  ASSERT_EQ(gptq.size(), 2u);
  EXPECT_EQ(gptq[0].weight_bytes, kVectors + kLinear / 2 + kLinear / 128 * 2 + kHead * 2);
  EXPECT_EQ(gptq[1].weight_bytes, kVectors + kLinear / 2 + kLinear / 128 * 2 + kInt8Head);
  config.quantization = {"awq", {.kind = QuantFormat::Kind::kAwq, .bits = 4, .group_size = 128}, {}};
  EXPECT_EQ(estimates(config)[0].weight_bytes, kVectors + kLinear / 2 + kLinear / 128 * 4 + kHead * 2);
  config.quantization = {"gptq", {.kind = QuantFormat::Kind::kGptq, .bits = 4, .group_size = 40}, {}};
  EXPECT_EQ(estimates(config)[0].weight_bytes, plain[0].weight_bytes);

  const WeightFormats int4 = weight_formats("int4");
  config.quantization = {"qwen_thinking", int4.linear, int4.head};
  const std::vector<FormatEstimate> own = estimates(config);
  ASSERT_EQ(own.size(), 1u);
  EXPECT_EQ(own[0].format, "none");
  EXPECT_EQ(own[0].weight_bytes, plain[2].weight_bytes);
}

TEST(FormatNumber, GroupsDigits) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(4022468096), "4,022,468,096");
  EXPECT_EQ(grouped(-123456), "-123,456");
  EXPECT_EQ(gibibytes(512), "512 B");
  EXPECT_EQ(gibibytes(8044936192.0), "7.49 GiB");
}

}  // namespace
}  // namespace qwen
