// The calibrator computes what the model computes; the folder that GPTQ writes loads and is near the original.
#include "model/gptq_folder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "backend/create.h"
#include "model/layer_calibrator.h"
#include "model/linear_weight.h"
#include "model/model_driver.h"
#include "model/quantized_config.h"
#include "model/registry.h"
#include "support/expect_error.h"
#include "support/scratch_folder.h"
#include "support/tiny_checkpoint.h"
#include "weights/safetensors_writer.h"
#include "weights/synthetic_recipe.h"

namespace qwen {
namespace {

namespace fs = std::filesystem;
using Sequences = std::vector<std::vector<TokenId>>;

Sequences random_sequences(int64_t vocab_size, int count, int length) {
  std::mt19937 random(11);
  Sequences sequences(static_cast<size_t>(count));
  for (size_t i = 0; i < sequences.size(); ++i)
    for (int t = 0; t < length - static_cast<int>(i); ++t)
      sequences[i].push_back(static_cast<TokenId>(random() % static_cast<uint32_t>(vocab_size)));
  return sequences;
}

// A two-layer model whose first layer's result can be read off as logits: the head is the identity, and the final norm
// does what the second layer's first norm does.
class TransparentModel {
 public:
  static constexpr int64_t kHidden = 64;

  TransparentModel() {
    const TinyModel tiny{
        .hidden_size = kHidden, .vocab_size = kHidden, .tie_word_embeddings = false, .attention_bias = true};
    scratch_.write("config.json", tiny_config_json(tiny));
    const SyntheticStyle style{.seed = 3, .hidden_size = kHidden, .num_hidden_layers = 2, .outliers = false};
    SafetensorsWriter writer(folder() / "model.safetensors");
    const std::vector<NamedShape> tensors = tiny_tensors(tiny);
    for (const NamedShape& tensor : tensors) writer.declare(tensor.name, DType::kF32, tensor.shape);
    writer.begin();
    for (const NamedShape& tensor : tensors) {
      std::vector<float> values(static_cast<size_t>(tensor.shape.num_elements()), 1.0f);
      if (tensor.name == "lm_head.weight")
        for (size_t i = 0; i < values.size(); ++i) values[i] = i % (kHidden + 1) == 0;
      else if (tensor.name != "model.norm.weight" && tensor.name != "model.layers.1.input_layernorm.weight")
        fill_synthetic(synthetic_tensor(tensor.name, tensor.shape, style), 0, values.size(), DType::kF32,
                       reinterpret_cast<std::byte*>(values.data()));
      writer.write(std::as_bytes(std::span(values)));
    }
    writer.finish();
  }
  const fs::path& folder() const { return scratch_.path(); }

 private:
  ScratchFolder scratch_;
};

TEST(LayerCalibrator, ComputesWhatTheModelComputes) {
  const TransparentModel model;
  const Checkpoint checkpoint = Checkpoint::open(model.folder());
  const ModelConfig config = ModelConfig::load(model.folder());
  const Sequences sequences = random_sequences(config.vocab_size, 5, 40);
  for (const std::string& kernels : available_kernels()) {
    const auto backend = create_backend({.kernels = kernels, .threads = 2});
    int calls = 0;
    LayerCalibrator calibrator(checkpoint, config, *backend, sequences, [&] { ++calls; });
    EXPECT_EQ(calibrator.num_tokens(), 40 + 39 + 38 + 37 + 36);
    calibrator.begin_layer(0);
    for (const LayerInput input : kLayerInputs) {
      std::vector<HostMatrix> weights;
      for (const std::string& module : modules_of(input, 0))
        weights.push_back(LinearWeight(checkpoint, {}, module).matrix());
      EXPECT_EQ(calibrator.gram(input).size(), static_cast<size_t>(weights[0].cols * weights[0].cols));
      calibrator.advance(input, weights);
    }
    calibrator.begin_layer(1);
    const std::span<const float> gram = calibrator.gram(LayerInput::kQkv);
    EXPECT_EQ(calls, 9 * 5);

    ModelConfig first_layer = config;
    first_layer.num_hidden_layers = 1;
    const auto reference = load_model(checkpoint, first_layer, create_backend({.kernels = kernels}), {64, 64, 64});
    std::vector<double> expected(static_cast<size_t>(TransparentModel::kHidden * TransparentModel::kHidden));
    for (const std::vector<TokenId>& ids : sequences) {
      for (const std::vector<float>& row : ModelDriver(*reference, 64).append(ids, 64))
        for (size_t i = 0; i < row.size(); ++i)
          for (size_t j = 0; j <= i; ++j) expected[i * row.size() + j] += double{row[i]} * row[j];
    }
    for (size_t i = 0; i < TransparentModel::kHidden; ++i)
      for (size_t j = 0; j <= i; ++j)
        ASSERT_NEAR(gram[i * TransparentModel::kHidden + j], expected[i * TransparentModel::kHidden + j], 2.0)
            << kernels;
    double largest = 0;
    for (const double value : expected) largest = std::max(largest, value);
    EXPECT_GT(largest, 150);  // the tolerance is one in a hundred
  }
}

class GptqFolder : public testing::Test {
 protected:
  std::vector<GptqModuleReport> write(const GptqOptions& options, int threads = 2) {
    const ModelConfig config = ModelConfig::load(model_.folder());
    const auto backend = create_backend({.threads = threads});
    ModelFolderWriter writer(out_, true);
    std::vector<GptqModuleReport> reports;
    uint64_t last = 0, end = 1;
    const Checkpoint checkpoint = Checkpoint::open(model_.folder());
    declare_gptq_folder(checkpoint, config, options, writer);
    write_gptq_folder(
        checkpoint, config, options, random_sequences(config.vocab_size, 8, 48), *backend, threads, writer,
        [&](const GptqModuleReport& report) { reports.push_back(report); },
        [&](uint64_t done, uint64_t total) { last = done, end = total; });
    EXPECT_EQ(last, end);
    writer.finish(gptq_config_json(model_.folder(), options));
    return reports;
  }
  static std::vector<std::vector<float>> logits(const fs::path& folder) {
    const auto model = load_model(Checkpoint::open(folder), ModelConfig::load(folder),
                                  create_backend({.kernels = "reference"}), {32, 32, 64});
    return ModelDriver(*model, 64).append(std::vector<TokenId>{1, 17, 300, 42, 511, 8}, 32);
  }
  double distance() const {
    const auto a = logits(model_.folder()), b = logits(out_);
    double error = 0, size = 0;
    for (size_t i = 0; i < a.size(); ++i)
      for (size_t j = 0; j < a[i].size(); ++j)
        error += std::pow(double{a[i][j]} - b[i][j], 2), size += std::pow(double{a[i][j]}, 2);
    return std::sqrt(error / size);
  }

  const TinyCheckpoint model_{{.tie_word_embeddings = true, .attention_bias = true, .dtype = DType::kBF16}};
  const ScratchFolder scratch_;
  const fs::path out_ = scratch_.path() / "out";
};

TEST_F(GptqFolder, LoadsAndIsNearTheOriginal) {
  const std::vector<GptqModuleReport> reports = write({.grid = {.bits = 8}, .group_size = 32});
  ASSERT_EQ(reports.size(), 14u);
  EXPECT_EQ(reports[6].module, "model.layers.0.mlp.down_proj");
  EXPECT_LT(distance(), 0.01);
  for (const GptqModuleReport& report : write({.group_size = 32})) {
    EXPECT_LT(report.error, report.nearest_error) << report.module;
    EXPECT_GT(report.error, 0);
    EXPECT_EQ(report.damp_percent, 0.01);
  }
  EXPECT_LT(distance(), 0.15);
  const ModelConfig config = ModelConfig::load(out_);
  EXPECT_EQ(config.quantization.method, "gptq");
  EXPECT_EQ(config.quantization.format,
            (QuantFormat{.kind = QuantFormat::Kind::kGptq, .bits = 4, .group_size = 32, .zero_offset = 1}));
  const Checkpoint checkpoint = Checkpoint::open(out_);
  EXPECT_EQ(checkpoint.find("lm_head.weight"), nullptr);  // stays tied
  for (const char* name : {"model.embed_tokens.weight", "model.norm.weight", "model.layers.1.self_attn.q_proj.bias"}) {
    const Checkpoint original = Checkpoint::open(model_.folder());
    const TensorView a = original.view(name), b = checkpoint.view(name);
    EXPECT_TRUE(a.size_bytes() == b.size_bytes() && std::equal(a.data, a.data + a.size_bytes(), b.data)) << name;
  }
}

TEST_F(GptqFolder, EveryOptionLoads) {
  for (const GptqOptions& options :
       {GptqOptions{.grid = {.symmetric = false}, .group_size = 64}, GptqOptions{.group_size = -1},
        GptqOptions{.group_size = 128, .hessian = {.act_order = true}}}) {
    write(options);
    EXPECT_LT(distance(), 0.25) << options.group_size;
    const Checkpoint checkpoint = Checkpoint::open(out_);
    const TensorView g_idx = checkpoint.view("model.layers.0.mlp.down_proj.g_idx");
    for (int64_t col = 0; col < 160; ++col)
      EXPECT_EQ(g_idx.as<int32_t>()[col], options.group_size == -1 ? 0 : col / options.group_size);
  }
}

TEST_F(GptqFolder, AsymmetricOnesAreOfTheSecondVersion) {
  write({.grid = {.symmetric = false}, .group_size = 32});
  EXPECT_EQ(ModelConfig::load(out_).quantization.format,
            (QuantFormat{.kind = QuantFormat::Kind::kGptq, .bits = 4, .group_size = 32, .zero_offset = 0}));
  EXPECT_LT(distance(), 0.15);
}

TEST_F(GptqFolder, MemoryGrowsWithTheTokens) {
  const auto backend = create_backend({.kernels = "reference"});
  const ModelConfig config = ModelConfig::load(model_.folder());
  const uint64_t none = gptq_memory(config, *backend, 0);
  EXPECT_EQ(none, 160u * 160 * 16 + 64u * 160 * 12);
  EXPECT_EQ(gptq_memory(config, *backend, 1000) - none, 1000u * (64 + 160) * 4);
}

TEST_F(GptqFolder, DoesNotDependOnThreads) {
  write({.group_size = 32}, 1);
  const auto one = logits(out_);
  write({.group_size = 32}, 3);
  EXPECT_EQ(one, logits(out_));
}

TEST_F(GptqFolder, RefusesWhatThePackingCannotHold) {
  const TinyCheckpoint odd({.intermediate_size = 164});
  ModelFolderWriter writer(out_, true);
  EXPECT_TRUE(fails_with(
      [&] { declare_gptq_folder(Checkpoint::open(odd.folder()), ModelConfig::load(odd.folder()), {}, writer); },
      ErrorCode::kBadData, "gate_proj.weight is [164, 64], but GPTQ with 4 bits needs multiples of 8"));
}

}  // namespace
}  // namespace qwen
