// What `bench quality` refuses before it loads anything, and what its reference is.
#include "commands/quality_measure.h"

#include <gtest/gtest.h>

#include "backend/create.h"
#include "support/expect_error.h"
#include "support/stored_groups.h"
#include "support/tiny_checkpoint.h"

namespace qwen {
namespace {

TEST(QualityMeasure, LogitsThatDoNotFitNameTheFlag) {
  constexpr uint64_t kVocab = 151936, kRow = kVocab * sizeof(float);
  QualityMeasure::check_positions(8192, kVocab, 8192 * kRow);
  EXPECT_TRUE(fails_with([&] { QualityMeasure::check_positions(8192, kVocab, 8192 * kRow - 1); }, ErrorCode::kUsage,
                         "--sequences times --length: the reference's logits at 8192 positions take 4748 MiB"));
  EXPECT_TRUE(fails_with([&] { QualityMeasure::check_positions(512, kVocab, 100 * kRow); }, ErrorCode::kUsage,
                         "enough for 100 positions"));
}

TEST(QualityMeasure, SimulatedBlocksMustFitTheModel) {
  const TinyCheckpoint model(TinyModel{});
  ModelConfig config = ModelConfig::load(model.folder());
  config.hidden_size = 64;
  config.intermediate_size = 96;
  for (const char* format : {"none", "int8", "int4", "int4-g64", "q8_0", "q4_0"})
    QualityMeasure::check_format(format, config);
  config.intermediate_size = 100;
  QualityMeasure::check_format("int4", config);
  for (const char* format : {"q8_0", "q4_0"})
    EXPECT_TRUE(fails_with([&] { QualityMeasure::check_format(format, config); }, ErrorCode::kUsage,
                           "mlp.down_proj.weight has 100"));
}

TEST(QualityMeasure, ReferenceKernelsLeaveActivationsAlone) {
  EXPECT_EQ(f32_kernels("reference"), "reference");
  EXPECT_EQ(f32_kernels(f32_kernels()), f32_kernels());
  EXPECT_TRUE(fails_with([] { f32_kernels("nonsense"); }, ErrorCode::kUsage, "nonsense"));
  for (const std::string& kernels : available_kernels()) {
    if (kernels != "avx512_bf16") continue;
    EXPECT_TRUE(fails_with([&] { f32_kernels(kernels); }, ErrorCode::kUsage, "round activations to"));
  }
}

TEST(QualityMeasure, TheReferenceMultipliesWhatAFoldersOwnIntegersStandFor) {
  const StoredGroups groups(40, 128, 32, 4, StoredGroups::Order::kPlain, 1);
  const StoredGptq stored(groups, 1, false);
  const auto reference = create_f32_backend({.kernels = "", .threads = 1}), served = create_backend({.threads = 1});
  EXPECT_EQ(reference->prepare({&stored.matrix, 1}, {}).format.kind, QuantFormat::Kind::kNone);
  if (served->kernels() == "reference") return;
  EXPECT_EQ(served->prepare({&stored.matrix, 1}, {}).format.kind, QuantFormat::Kind::kGrouped);
}

TEST(QualityMeasure, AnInt8CacheNeedsIntegerAttention) {
  for (const std::string& kernels : available_kernels()) {
    QualityMeasure::check_kernels("int8", kernels);
    if (computes_in_integers(kernels)) QualityMeasure::check_kernels("kv-int8", kernels);
  }
  EXPECT_TRUE(fails_with([] { QualityMeasure::check_kernels("kv-int8", "reference"); }, ErrorCode::kUsage,
                         "--formats: kv-int8 needs kernels that compute in integers"));
}

}  // namespace
}  // namespace qwen
