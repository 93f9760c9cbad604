// The function is fixed for ever (files and devices must agree), and its statistics are what the recipe promises.
#include "weights/synthetic_weights.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "weights/synthetic_recipe.h"

namespace qwen {
namespace {

constexpr SyntheticStyle kStyle{.seed = 7, .hidden_size = 256, .num_hidden_layers = 2, .tie_word_embeddings = true};

// Known values: a device implementation has to give the same bits.
TEST(SyntheticWeights, AreTheSameEverywhere) {
  EXPECT_EQ(synthetic_key(0, "model.embed_tokens.weight"), 0x8299e1cbb11775edull);
  EXPECT_EQ(synthetic_noise(0, 0), 54055);
  EXPECT_EQ(synthetic_noise(0x123456789abcdef0, 1ull << 40), -46524);
  const SyntheticTensor tensor = synthetic_tensor("model.layers.0.mlp.up_proj.weight", {512, 256}, kStyle);
  const float value = synthetic_value(tensor, 1000);
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  EXPECT_EQ(bits, 0x3a29bdb9u);
  static_assert(synthetic_noise(1, 1) != synthetic_noise(1, 2), "usable in constant expressions");
}

TEST(SyntheticWeights, NoiseIsCentredAndNormalEnough) {
  constexpr int kCount = 1'000'000;
  double sum = 0, squares = 0, fourth = 0, neighbours = 0, previous = 0;
  for (int i = 0; i < kCount; ++i) {
    const double x = synthetic_noise(99, static_cast<uint64_t>(i)) / static_cast<double>(kSyntheticNoiseStd);
    sum += x, squares += x * x, fourth += x * x * x * x, neighbours += x * previous;
    previous = x;
  }
  EXPECT_NEAR(sum / kCount, 0, 0.005);
  EXPECT_NEAR(squares / kCount, 1, 0.005);
  EXPECT_NEAR(fourth / kCount, 3 - 1.2 / 4, 0.05) << "Irwin-Hall of order 4";
  EXPECT_NEAR(neighbours / kCount, 0, 0.005);
}

TEST(SyntheticWeights, TensorsAndSeedsDiffer) {
  const uint64_t a = synthetic_key(0, "model.layers.0.mlp.up_proj.weight"),
                 b = synthetic_key(0, "model.layers.1.mlp.up_proj.weight");
  const uint64_t c = synthetic_key(1, "model.layers.0.mlp.up_proj.weight");
  int equal = 0;
  for (uint64_t i = 0; i < 1000; ++i)
    equal += (synthetic_noise(a, i) == synthetic_noise(b, i)) + (synthetic_noise(a, i) == synthetic_noise(c, i));
  EXPECT_LT(equal, 5);
}

// Filling in parts, beginning and ending inside rows, equals asking for each element.
TEST(SyntheticWeights, FillingEqualsTheFunction) {
  for (const char* name :
       {"model.embed_tokens.weight", "model.layers.1.self_attn.o_proj.weight", "model.layers.1.mlp.gate_proj.weight",
        "model.layers.0.input_layernorm.weight", "model.norm.weight", "model.layers.0.self_attn.q_norm.weight"}) {
    const Shape shape = std::string_view(name).find("norm") != std::string_view::npos ? Shape{256} : Shape{256, 256};
    const SyntheticTensor tensor = synthetic_tensor(name, shape, kStyle);
    const auto count = static_cast<uint64_t>(shape.num_elements());
    std::vector<float> f32(count);
    std::vector<uint16_t> bf16(count), f16(count);
    uint64_t begin = 0;
    for (const uint64_t part : {uint64_t{1}, uint64_t{77}, uint64_t{100}, count}) {
      const uint64_t end = std::min(count, begin + part);
      fill_synthetic(tensor, begin, end, DType::kF32, reinterpret_cast<std::byte*>(f32.data() + begin));
      fill_synthetic(tensor, begin, end, DType::kBF16, reinterpret_cast<std::byte*>(bf16.data() + begin));
      fill_synthetic(tensor, begin, end, DType::kF16, reinterpret_cast<std::byte*>(f16.data() + begin));
      begin = end;
    }
    for (uint64_t i = 0; i < count; ++i) {
      const float value = synthetic_value(tensor, i);
      ASSERT_EQ(f32[i], value) << name << " " << i;
      ASSERT_EQ(bf16[i], f32_to_bf16(value)) << name << " " << i;
      ASSERT_EQ(f16[i], f32_to_f16(value)) << name << " " << i;
    }
  }
}

double rms(const SyntheticTensor& tensor, uint64_t begin, uint64_t count, uint64_t stride) {
  double squares = 0;
  for (uint64_t i = 0; i < count; ++i) squares += std::pow(synthetic_value(tensor, begin + i * stride), 2);
  return std::sqrt(squares / static_cast<double>(count));
}

TEST(SyntheticWeights, AFewChannelsAreOutliersAndTheNormsCompensate) {
  constexpr uint64_t kRows = 2000, kHidden = 256;
  const SyntheticTensor embedding = synthetic_tensor("model.embed_tokens.weight", {kRows, kHidden}, kStyle);
  const SyntheticTensor down = synthetic_tensor("model.layers.0.mlp.down_proj.weight", {kHidden, 512}, kStyle);
  const SyntheticTensor norm = synthetic_tensor("model.layers.0.input_layernorm.weight", {kHidden}, kStyle);
  const double ordinary = embedding.scale * static_cast<double>(kSyntheticNoiseStd);
  int outliers = 0;
  double stream = 0;
  for (uint64_t channel = 0; channel < kHidden; ++channel) {
    const double gain = rms(embedding, channel, kRows, kHidden) / ordinary;
    stream += gain * gain / kHidden;
    if (gain < 50) {
      EXPECT_NEAR(gain, 1, 0.15);
      continue;
    }
    ++outliers;
    EXPECT_GT(gain, 100);
    EXPECT_LT(gain, 1000);
    const double down_gain = rms(down, channel * 512, 512, 1) / (down.scale * static_cast<double>(kSyntheticNoiseStd));
    EXPECT_NEAR(down_gain / gain, 1, 0.2) << "all writers of the stream agree on the channel";
    EXPECT_LT(synthetic_value(norm, channel), 0.2f * synthetic_value(norm, (channel + 1) % kHidden));
  }
  EXPECT_EQ(outliers, 4);
  double after_norm = 0;
  for (uint64_t channel = 0; channel < kHidden; ++channel)
    after_norm += std::pow(rms(embedding, channel, kRows, kHidden) / ordinary / std::sqrt(stream) *
                               synthetic_value(norm, channel),
                           2) /
                  kHidden;
  EXPECT_NEAR(std::sqrt(after_norm), 1, 0.6);

  SyntheticStyle plain = kStyle;
  plain.outliers = false;
  const SyntheticTensor flat = synthetic_tensor("model.embed_tokens.weight", {kRows, kHidden}, plain);
  for (uint64_t channel = 0; channel < kHidden; ++channel)
    EXPECT_LT(rms(flat, channel, kRows, kHidden) / ordinary, 1.2);
}

}  // namespace
}  // namespace qwen
