// tools/synthetic_model: the folders it writes load, sharded or not, and hold what weights/synthetic_recipe says.
#include <gtest/gtest.h>

#include "model/tensor_names.h"
#include "support/expect_error.h"
#include "support/scratch_folder.h"
#include "synthetic_model/families.h"
#include "synthetic_model/model_writer.h"
#include "weights/synthetic_recipe.h"

namespace qwen {
namespace {

namespace fs = std::filesystem;

const ProgressFn kQuiet = [](uint64_t, uint64_t) {};

TEST(SyntheticModel, WritesAModelThatLoads) {
  const ScratchFolder scratch;
  const fs::path folder = scratch.path() / "tiny";
  uint64_t reported = 0;
  const WrittenModel written =
      write_synthetic_model(folder, config_json("tiny", {}), {.seed = 3, .threads = 2},
                            [&](uint64_t done, uint64_t total) { EXPECT_LE(reported = done, total); });
  const ModelConfig config = ModelConfig::load(folder);
  const Checkpoint checkpoint = Checkpoint::open(folder);
  EXPECT_NO_THROW(check_tensors(checkpoint, config));
  EXPECT_EQ(written.parameters, parameter_count(config));
  EXPECT_EQ(written.weight_files, 1u);
  EXPECT_EQ(written.weight_bytes, checkpoint.total_bytes());
  EXPECT_EQ(reported, written.weight_bytes);
  EXPECT_EQ(GenerationConfig::load(folder, config).eos_token_ids, (std::vector<TokenId>{4095, 4094}));

  const SyntheticStyle style{.seed = 3, .hidden_size = 256, .num_hidden_layers = 2, .tie_word_embeddings = true};
  for (const TensorInfo& info : checkpoint.tensors()) {
    const TensorView view = checkpoint.view(info.name);
    const SyntheticTensor recipe = synthetic_tensor(info.name, info.shape, style);
    for (uint64_t i = 0; i < view.size_bytes() / 2; i += 97)
      ASSERT_EQ(view.as<uint16_t>()[i], f32_to_bf16(synthetic_value(recipe, i))) << info.name << " " << i;
  }
}

TEST(SyntheticModel, ShardsHoldTheSameWeights) {
  const ScratchFolder scratch;
  const std::string json = config_json("TINY", {.dtype = DType::kF32, .num_hidden_layers = 3});
  write_synthetic_model(scratch.path() / "one", json, {}, kQuiet);
  const WrittenModel written =
      write_synthetic_model(scratch.path() / "many", json, {.max_shard_bytes = 3 << 20, .threads = 2}, kQuiet);
  EXPECT_GT(written.weight_files, 2u);
  EXPECT_TRUE(fs::exists(scratch.path() / "many" / "model.safetensors.index.json"));
  const Checkpoint one = Checkpoint::open(scratch.path() / "one"), many = Checkpoint::open(scratch.path() / "many");
  ASSERT_EQ(one.tensors().size(), many.tensors().size());
  EXPECT_NO_THROW(check_tensors(many, ModelConfig::load(scratch.path() / "many")));
  for (const TensorInfo& info : one.tensors()) {
    const TensorView a = one.view(info.name), b = many.view(info.name);
    EXPECT_EQ(a.dtype, DType::kF32);
    EXPECT_TRUE(std::equal(a.data, a.data + a.size_bytes(), b.data, b.data + b.size_bytes())) << info.name;
  }
}

TEST(SyntheticModel, TheFamilyHasItsPublishedSizes) {
  const auto parameters = [](const char* name) {
    return parameter_count(ModelConfig::parse(config_json(name, {}), "config.json"));
  };
  EXPECT_EQ(parameters("qwen3-0.6b"), 596049920);
  EXPECT_EQ(parameters("Qwen3-1.7B"), 1720574976);
  EXPECT_EQ(parameters("4b"), 4022468096);
  EXPECT_EQ(parameters("8b"), 8190735360);
  EXPECT_EQ(parameters("14b"), 14768307200);
  EXPECT_EQ(parameters("32b"), 32762123264);
}

TEST(SyntheticModel, TakesTheConfigurationOfAnotherFolder) {
  const ScratchFolder scratch;
  const fs::path config = scratch.write("config.json", config_json("tiny", {}));
  for (const fs::path& path : {config, scratch.path()})
    EXPECT_EQ(ModelConfig::parse(config_json(path.string(), {.num_hidden_layers = 5}), "config.json").num_hidden_layers,
              5);
  scratch.write("config.json", R"({"quantization_config": {}})");
  EXPECT_TRUE(fails_with([&] { config_json(config.string(), {}); }, ErrorCode::kBadData, "plain floats"));
  EXPECT_TRUE(fails_with([] { config_json("qwen3-5b", {}); }, ErrorCode::kUsage, "tiny, 0.6b, 1.7b, 4b, 8b, 14b, 32b"));
}

TEST(SyntheticModel, SaysWhyItCannotWrite) {
  const ScratchFolder scratch;
  const std::string tiny = config_json("tiny", {});
  scratch.write("precious", "x");
  EXPECT_TRUE(fails_with([&] { write_synthetic_model(scratch.path(), tiny, {}, kQuiet); }, ErrorCode::kCannotCreate,
                         "not empty"));
  EXPECT_TRUE(fails_with([&] { write_synthetic_model(scratch.path() / "precious" / "x", tiny, {}, kQuiet); },
                         ErrorCode::kCannotCreate, "cannot create the folder"));
  const std::string huge =
      R"({"architectures": ["Qwen3ForCausalLM"], "hidden_size": 65536, "intermediate_size": 1048576,
      "num_hidden_layers": 1024, "num_attention_heads": 64, "num_key_value_heads": 8, "vocab_size": 4194304,
      "max_position_embeddings": 1000, "rope_theta": 1000000})";
  EXPECT_TRUE(fails_with([&] { write_synthetic_model(scratch.path() / "huge", huge, {}, kQuiet); },
                         ErrorCode::kCannotCreate, " free"));
}

}  // namespace
}  // namespace qwen
