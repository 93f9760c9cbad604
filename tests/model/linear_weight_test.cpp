// Each layer tells by its own tensors how it is spelled; what is missing or damaged is named.
#include "model/linear_weight.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/error.h"
#include "quant/dequantize.h"
#include "support/scratch_folder.h"
#include "weights/safetensors_writer.h"

namespace qwen {
namespace {

using Kind = QuantFormat::Kind;

struct Stored {
  const char* name;
  DType dtype;
  Shape shape;
};

Checkpoint write(const ScratchFolder& folder, const std::vector<Stored>& tensors) {
  SafetensorsWriter writer(folder.path() / "model.safetensors");
  for (const Stored& tensor : tensors) writer.declare(tensor.name, tensor.dtype, tensor.shape);
  writer.begin();
  const std::vector<std::byte> zeros(writer.data_bytes());
  writer.write(zeros);
  writer.finish();
  return Checkpoint::open(folder.path());
}

std::string error_of(const LinearWeight& weight) {
  try {
    weight.matrix();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadData);
    return error.what();
  }
  return "";
}

TEST(LinearWeight, AnFp8FolderKeepsItsHeadPlain) {
  const ScratchFolder folder;
  const Checkpoint checkpoint = write(folder, {{"a.weight", DType::kF8E4M3, {130, 256}},
                                               {"a.weight_scale_inv", DType::kBF16, {2, 2}},
                                               {"b.weight", DType::kF8E4M3, {4, 8}},
                                               {"b.weight_scale", DType::kF32, {4, 1}},
                                               {"c.weight", DType::kF8E4M3, {4, 8}},
                                               {"head.weight", DType::kBF16, {4, 8}}});
  const QuantizationConfig fp8{"fp8", {.kind = Kind::kFp8Block, .bits = 8}};
  EXPECT_EQ(LinearWeight(checkpoint, fp8, "a").matrix().format.kind, Kind::kFp8Block);
  EXPECT_EQ(LinearWeight(checkpoint, fp8, "a").tensors(), (std::vector<std::string>{"a.weight", "a.weight_scale_inv"}));
  EXPECT_EQ(LinearWeight(checkpoint, fp8, "b").matrix().scales.shape, (Shape{4, 1}));
  EXPECT_EQ(LinearWeight(checkpoint, fp8, "head").matrix().format.kind, Kind::kNone);
  EXPECT_NE(error_of(LinearWeight(checkpoint, fp8, "c")).find("c.weight_scale_inv is missing"), std::string::npos);
  EXPECT_NE(error_of(LinearWeight(checkpoint, fp8, "d")).find("d.weight is missing"), std::string::npos);
  // Without the configuration's word for it, float8 is no weight.
  EXPECT_NE(error_of(LinearWeight(checkpoint, {}, "a")).find("a.weight is [130, 256] of float8"), std::string::npos);
}

TEST(LinearWeight, ShapesFollowFromThePacking) {
  const ScratchFolder folder;
  const Checkpoint checkpoint = write(
      folder,
      {{"a.qweight", DType::kI32, {8, 16}}, {"a.qzeros", DType::kI32, {1, 2}}, {"a.scales", DType::kF16, {1, 16}}});
  const QuantizationConfig gptq{"gptq", {.kind = Kind::kGptq, .bits = 4, .group_size = 64, .zero_offset = 1}};
  EXPECT_EQ(LinearWeight(checkpoint, gptq, "a").shape(), (Shape{16, 64}));
  EXPECT_EQ(error_of(LinearWeight(checkpoint, gptq, "a")), "");
  const QuantizationConfig awq{"awq", {.kind = Kind::kAwq, .bits = 4, .group_size = 64}};
  EXPECT_EQ(LinearWeight(checkpoint, awq, "a").shape(), (Shape{128, 8}));
  EXPECT_NE(error_of(LinearWeight(checkpoint, awq, "a")).find("a.qzeros"), std::string::npos);
}

}  // namespace
}  // namespace qwen
