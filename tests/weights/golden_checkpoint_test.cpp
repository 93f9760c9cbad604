// The checkpoints written by the reference implementation open, and hold what it says they hold: the row of the
// embedding that belongs to a prompt's last token is what the reference computed as its `embed` activation.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "weights/checkpoint.h"

namespace qwen {
namespace {

namespace fs = std::filesystem;

class GoldenCheckpoint : public testing::TestWithParam<const char*> {};

float element(const TensorView& view, int64_t index) {
  if (view.dtype == DType::kF32) return view.as<float>()[index];
  const uint16_t bits = view.as<uint16_t>()[index];
  return view.dtype == DType::kF16 ? f16_to_f32(bits) : bf16_to_f32(bits);
}

TEST_P(GoldenCheckpoint, Opens) {
  const fs::path folder = fs::path(QWEN_SHARED_DATA) / "golden" / "tiny-models" / GetParam();
  if (!fs::exists(folder)) GTEST_SKIP() << folder << " is absent";
  const Checkpoint checkpoint = Checkpoint::open(folder);
  const auto expected = nlohmann::json::parse(std::ifstream(folder / "expected.json"));
  const TensorView embedding = checkpoint.view("model.embed_tokens.weight");
  ASSERT_EQ(embedding.shape.rank(), 2);
  EXPECT_EQ(embedding.shape[0], 512);
  int compared = 0;
  for (const auto& prompt : expected["prompts"]) {
    if (!prompt.contains("hidden_last_position")) continue;
    const auto& activation = prompt["hidden_last_position"]["embed"];
    ASSERT_EQ(activation.size(), static_cast<size_t>(embedding.shape[1]));
    const int64_t row = prompt["ids"].back().get<int64_t>();
    for (int64_t i = 0; i < embedding.shape[1]; ++i, ++compared)
      EXPECT_NEAR(element(embedding, row * embedding.shape[1] + i), activation[static_cast<size_t>(i)].get<float>(),
                  1e-6);
  }
  EXPECT_GT(compared, 0);
  // Random weights: a wrong offset or dtype shows as values that no initialisation makes.
  for (const TensorInfo& info : checkpoint.tensors()) {
    const TensorView view = checkpoint.view(info.name);
    for (int64_t i = 0; i < view.shape.num_elements() && dtype_size(view.dtype) != 1 && view.dtype != DType::kI32; ++i)
      ASSERT_LT(std::abs(element(view, i)), 100.0f) << info.name << " " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(TinyModels, GoldenCheckpoint,
                         testing::Values("f32-tied-gqa4", "bf16-untied-gqa2", "bf16-tied-headdim128",
                                         "f32-attnbias-untied", "f32-yarn4", "bf16-tied-sharded", "f32-pytorch-bin",
                                         "f16-config5", "gptq-int4-g128-sym", "awq-int4-g128"),
                         [](const auto& param) {
                           std::string name = param.param;
                           for (char& c : name)
                             if (c == '-') c = '_';
                           return name;
                         });

}  // namespace
}  // namespace qwen
