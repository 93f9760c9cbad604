// The tensor list agrees with published sizes and with checkpoints; misfits are listed.
#include "model/tensor_names.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "support/expect_error.h"
#include "support/tiny_checkpoint.h"

namespace qwen {
namespace {

namespace fs = std::filesystem;

ModelConfig config_of(const TinyModel& model) { return ModelConfig::parse(tiny_config_json(model), "config.json"); }

TEST(TensorNames, ListEqualsTheCheckpointBuilders) {
  for (const bool tied : {false, true}) {
    for (const bool bias : {false, true}) {
      const TinyModel model{.tie_word_embeddings = tied, .attention_bias = bias};
      const std::vector<ExpectedTensor> expected = expected_tensors(config_of(model));
      std::vector<NamedShape> built = tiny_tensors(model);
      ASSERT_EQ(expected.size(), built.size() + (tied ? 1 : 0));
      EXPECT_EQ(expected.back().optional, tied);
      for (const NamedShape& tensor : built) {
        const auto it = std::find_if(expected.begin(), expected.end(),
                                     [&](const ExpectedTensor& e) { return e.name == tensor.name; });
        ASSERT_NE(it, expected.end()) << tensor.name;
        EXPECT_EQ(it->shape, tensor.shape) << tensor.name;
      }
    }
  }
}

struct Size {
  int hidden, intermediate, layers, heads;
  bool tied;
  int64_t parameters;
};

// The published parameter counts of the family.
TEST(TensorNames, ParameterCounts) {
  for (const Size& size :
       {Size{1024, 3072, 28, 16, true, 596049920}, Size{2048, 6144, 28, 16, true, 1720574976},
        Size{2560, 9728, 36, 32, true, 4022468096}, Size{4096, 12288, 36, 32, false, 8190735360},
        Size{5120, 17408, 40, 40, false, 14768307200}, Size{5120, 25600, 64, 64, false, 32762123264}}) {
    const TinyModel model{.hidden_size = size.hidden,
                          .intermediate_size = size.intermediate,
                          .num_hidden_layers = size.layers,
                          .num_attention_heads = size.heads,
                          .num_key_value_heads = 8,
                          .head_dim = 128,
                          .vocab_size = 151936,
                          .tie_word_embeddings = size.tied};
    EXPECT_EQ(parameter_count(config_of(model)), size.parameters);
  }
}

TEST(CheckTensors, AcceptsWhatFits) {
  for (const bool tied : {false, true}) {
    const TinyModel model{.tie_word_embeddings = tied, .attention_bias = !tied, .dtype = DType::kBF16};
    const TinyCheckpoint tiny(model);
    EXPECT_NO_THROW(check_tensors(Checkpoint::open(tiny.folder()), ModelConfig::load(tiny.folder())));
  }
}

// A checkpoint of one model against the configuration of another.
testing::AssertionResult mismatch(const TinyModel& weights, const TinyModel& config, const char* words) {
  const TinyCheckpoint tiny(weights);
  return fails_with([&] { check_tensors(Checkpoint::open(tiny.folder()), config_of(config)); }, ErrorCode::kBadData,
                    words);
}

TEST(CheckTensors, RefusesWhatDoesNotFit) {
  EXPECT_TRUE(mismatch({}, {.vocab_size = 600},
                       "model.embed_tokens.weight is [512, 64], config.json makes it [600, 64]. Download"));
  EXPECT_TRUE(mismatch({}, {.num_hidden_layers = 3}, "model.layers.2.input_layernorm.weight is missing; "));
  EXPECT_TRUE(mismatch({}, {.num_hidden_layers = 3}, "and 6 more"));
  EXPECT_TRUE(mismatch({}, {.tie_word_embeddings = false}, "lm_head.weight is missing"));
  EXPECT_TRUE(mismatch({}, {.attention_bias = true}, "q_proj.bias is missing"));
  EXPECT_TRUE(mismatch({}, {.num_key_value_heads = 4}, "k_proj.weight is [64, 64], config.json makes it [128, 64]"));
  EXPECT_TRUE(mismatch({}, {.head_dim = 64}, "q_norm.weight is [32]"));
}

TEST(CheckTensors, RefusesOtherDtypes) {
  const ScratchFolder scratch;
  const TinyModel model{.num_hidden_layers = 1};
  std::string header, data;
  for (const NamedShape& tensor : tiny_tensors(model)) {
    const auto bytes = static_cast<size_t>(tensor.shape.num_elements());
    header += str(header.empty() ? "{" : ",", "\"", tensor.name, R"(":{"dtype":"I8","shape":)", to_string(tensor.shape),
                  R"(,"data_offsets":[)", data.size(), ",", data.size() + bytes, "]}");
    data.append(bytes, 'x');
  }
  header += "}";
  std::string length;
  for (int shift = 0; shift < 64; shift += 8) length += static_cast<char>(header.size() >> shift & 0xff);
  scratch.write("model.safetensors", length + header + data);
  EXPECT_TRUE(fails_with([&] { check_tensors(Checkpoint::open(scratch.path()), config_of(model)); },
                         ErrorCode::kBadData,
                         "model.embed_tokens.weight is int8, allowed are float32, float16, bfloat16"));
}

TEST(CheckTensors, WarnsAboutAndIgnoresWhatIsNotPartOfTheModel) {
  const TinyCheckpoint tiny({.num_hidden_layers = 3, .tie_word_embeddings = false});
  testing::internal::CaptureStderr();
  EXPECT_NO_THROW(
      check_tensors(Checkpoint::open(tiny.folder()), config_of({.num_hidden_layers = 2, .tie_word_embeddings = true})));
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("11 tensors are not part of the model"), std::string::npos) << log;
  EXPECT_EQ(log.find("lm_head"), std::string::npos) << "a tied model may carry its head twice";
}

class GoldenModel : public testing::TestWithParam<const char*> {};

TEST_P(GoldenModel, HasExactlyTheExpectedTensors) {
  const fs::path folder = fs::path(QWEN_SHARED_DATA) / "golden" / "tiny-models" / GetParam();
  if (!fs::exists(folder)) GTEST_SKIP() << folder << " is absent";
  const ModelConfig config = ModelConfig::load(folder);
  const Checkpoint checkpoint = Checkpoint::open(folder);
  EXPECT_NO_THROW(check_tensors(checkpoint, config));
  int64_t elements = 0;
  for (const TensorInfo& tensor : checkpoint.tensors()) elements += tensor.shape.num_elements();
  EXPECT_EQ(elements, parameter_count(config));
  EXPECT_EQ(checkpoint.view("model.norm.weight").dtype, config.dtype);
  const GenerationConfig generation = GenerationConfig::load(folder, config);
  EXPECT_FALSE(generation.do_sample);
  EXPECT_EQ(generation.eos_token_ids, (std::vector<TokenId>{511, 510}));
}

INSTANTIATE_TEST_SUITE_P(TinyModels, GoldenModel,
                         testing::Values("f32-tied-gqa4", "bf16-untied-gqa2", "bf16-tied-headdim128",
                                         "f32-attnbias-untied", "f32-yarn4", "bf16-tied-sharded", "f32-pytorch-bin",
                                         "f16-config5"),
                         [](const auto& param) {
                           std::string name = param.param;
                           for (char& c : name)
                             if (c == '-') c = '_';
                           return name;
                         });

}  // namespace
}  // namespace qwen
