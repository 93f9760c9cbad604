// What load_model refuses before it loads anything, and how it tells its progress.
#include "model/registry.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "backend/create.h"
#include "base/error.h"
#include "support/fake_backend.h"

namespace qwen {
namespace {

const std::filesystem::path kFolder =
    std::filesystem::path(QWEN_SOURCE_DIR) / "tests/data/tiny-models/bf16-tied-sharded";

class Registry : public testing::Test {
 protected:
  // The error that loading with this configuration and this much memory ends with.
  Error load_error(const ModelConfig& config, size_t free_memory) {
    try {
      load_model(checkpoint_, config, std::make_unique<FakeBackend>(free_memory, 1, 16), {16, 4, 64});
    } catch (const Error& error) {
      return error;
    }
    return Error(ErrorCode::kFailed, "nothing was thrown");
  }

  Checkpoint checkpoint_ = Checkpoint::open(kFolder);
  ModelConfig config_ = ModelConfig::load(kFolder);
};

TEST_F(Registry, RefusesAnotherArchitecture) {
  config_.architecture = "LlamaForCausalLM";
  const Error error = load_error(config_, 1 << 30);
  EXPECT_EQ(error.code(), ErrorCode::kBadData);
  EXPECT_NE(std::string(error.what()).find("LlamaForCausalLM"), std::string::npos);
  EXPECT_NE(std::string(error.what()).find((kFolder / "config.json").string()), std::string::npos);
}

TEST_F(Registry, RefusesHeadsThatTheBackendCannotCompute) {
  const auto message = [&] {
    try {
      load_model(checkpoint_, config_, create_backend({.threads = 1}), {16, 4, 64},
                 [](uint64_t, uint64_t) { ADD_FAILURE() << "a weight was read"; });
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBadData);
      return std::string(error.what());
    }
    return std::string("loaded");
  };
  config_.head_dim = 512;
  EXPECT_EQ(message(),
            (kFolder / "config.json").string() + ": head_dim is 512; allowed is an even number from 2 to 256");
  config_.head_dim = 16;
  config_.num_attention_heads = 128;
  config_.num_key_value_heads = 1;
  EXPECT_NE(
      message().find("config.json: num_attention_heads is 128; allowed is a multiple of num_key_value_heads, 1, at "
                     "most 64 times it"),
      std::string::npos);
}

TEST_F(Registry, PlainLayersLoadWhateverTheQuantizationSays) {
  config_.quantization = {"gptq", {.kind = QuantFormat::Kind::kGptq, .bits = 4, .group_size = 128, .zero_offset = 1}};
  EXPECT_EQ(load_error(config_, 1 << 30).code(), ErrorCode::kFailed);  // as far as the fake backend goes
}

TEST_F(Registry, RefusesTensorsThatDoNotFitTheConfiguration) {
  config_.intermediate_size *= 2;
  EXPECT_EQ(load_error(config_, 1 << 30).code(), ErrorCode::kBadData);
}

TEST_F(Registry, AsksForMemoryFirstAndNamesBothNumbers) {
  const uint64_t needed = model_memory(checkpoint_, config_, FakeBackend(1 << 30, 1, 16), {16, 4, 64}).total();
  const Error error = load_error(config_, needed - 1);
  EXPECT_EQ(error.code(), ErrorCode::kOs);
  EXPECT_NE(std::string(error.what()).find("GiB are available"), std::string::npos) << error.what();
  EXPECT_EQ(load_error(config_, needed).code(), ErrorCode::kFailed);
}

TEST_F(Registry, ProgressCountsEveryByteOnce) {
  uint64_t last = 0, total = 0;
  int calls = 0;
  load_model(checkpoint_, config_, std::make_unique<FakeBackend>(1 << 30, 1, 16), {16, 4, 64},
             [&](uint64_t done, uint64_t of) {
               EXPECT_GT(done, last);
               last = done;
               total = of;
               ++calls;
             });
  EXPECT_GT(calls, 10);
  EXPECT_EQ(last, total);
  EXPECT_EQ(total, checkpoint_.total_bytes());
}

TEST_F(Registry, PositionsAreCutToTheModels) {
  const auto model = load_model(checkpoint_, config_, std::make_unique<FakeBackend>(1 << 30, 1, 16), {16, 4, 1 << 30});
  EXPECT_EQ(model->max_positions(), config_.max_position_embeddings);
  EXPECT_EQ(model->max_batched_tokens(), 16);
  EXPECT_EQ(model->max_logit_rows(), 4);
}

}  // namespace
}  // namespace qwen
