#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <random>
#include <sstream>

#include "base/dtype.h"
#include "base/error.h"
#include "peers/ggml_blocks.h"
#include "peers/gguf_model.h"
#include "peers/gguf_writer.h"

namespace qwen {
namespace {

template <typename T>
T at(std::span<const std::byte> bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

std::vector<float> random_values(size_t count) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

TEST(GgmlBlocks, PlainTypesAreTheValues) {
  const std::vector<float> values = random_values(5);
  std::vector<std::byte> bytes;
  ggml_encode(GgmlType::kF32, values, bytes);
  ggml_encode(GgmlType::kBF16, values, bytes);
  ASSERT_EQ(bytes.size(), ggml_bytes(GgmlType::kF32, 5) + ggml_bytes(GgmlType::kBF16, 5));
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(at<float>(bytes, 4 * i), values[i]);
    EXPECT_EQ(at<uint16_t>(bytes, 20 + 2 * i), f32_to_bf16(values[i]));
  }
}

TEST(GgmlBlocks, Q8IsWithinHalfAStep) {
  std::vector<float> values = random_values(64);
  for (size_t i = 32; i < 64; ++i) values[i] = 0;
  std::vector<std::byte> bytes;
  ggml_encode(GgmlType::kQ8_0, values, bytes);
  ASSERT_EQ(bytes.size(), 2u * 34);
  const float scale = f16_to_f32(at<uint16_t>(bytes, 0));
  for (size_t i = 0; i < 32; ++i) EXPECT_NEAR(at<int8_t>(bytes, 2 + i) * scale, values[i], scale * 0.6f) << i;
  for (size_t i = 34; i < 68; ++i) EXPECT_EQ(at<uint8_t>(bytes, i), 0) << i;
}

TEST(GgmlBlocks, Q4HasTheLargestAtMinusEightAndTheSecondHalfInHighNibbles) {
  std::vector<float> values = random_values(32);
  values[20] = 5.0f;
  std::vector<std::byte> bytes;
  ggml_encode(GgmlType::kQ4_0, values, bytes);
  ASSERT_EQ(bytes.size(), 18u);
  const float scale = f16_to_f32(at<uint16_t>(bytes, 0));
  EXPECT_EQ(scale, -0.625f);
  EXPECT_EQ(at<uint8_t>(bytes, 2 + 4) >> 4, 0);
  for (size_t i = 0; i < 32; ++i) {
    const int byte = at<uint8_t>(bytes, 2 + i % 16), nibble = i < 16 ? byte & 15 : byte >> 4;
    EXPECT_NEAR(static_cast<float>(nibble - 8) * scale, values[i], std::fabs(scale)) << i;
  }
}

TEST(GgufModel, Names) {
  EXPECT_EQ(gguf_name("model.embed_tokens.weight"), "token_embd.weight");
  EXPECT_EQ(gguf_name("model.layers.35.mlp.down_proj.weight"), "blk.35.ffn_down.weight");
  EXPECT_EQ(gguf_name("model.layers.0.self_attn.q_norm.weight"), "blk.0.attn_q_norm.weight");
  for (const char* name : {"model.layers.0.self_attn.q_proj.bias", "model.layers.", "x", "model.layers.1"})
    EXPECT_THROW(gguf_name(name), Error) << name;
}

TEST(GgufWriter, WhatCannotBeCompletedLeavesNothing) {
  namespace fs = std::filesystem;
  const fs::path path = fs::path(testing::TempDir()) / "a-folder.gguf", partial = path.string() + ".partial";
  fs::create_directories(path / "in the way");
  {
    GgufWriter writer(path);
    writer.begin();
    EXPECT_TRUE(fs::exists(partial));
    EXPECT_THROW(writer.finish(), Error);
  }
  EXPECT_FALSE(fs::exists(partial));
  fs::remove_all(path);
}

TEST(GgufWriter, HeaderThenAlignedTensors) {
  const std::filesystem::path path = std::filesystem::path(testing::TempDir()) / "test.gguf";
  std::filesystem::remove(path);
  const std::vector<float> first = {1, 2, 3}, second(32, 1.0f);
  {
    GgufWriter writer(path);
    writer.set_uint("n", 7);
    writer.declare("a", GgmlType::kF32, {3});
    writer.declare("b", GgmlType::kQ8_0, {1, 32});
    writer.begin();
    std::vector<std::byte> bytes;
    ggml_encode(GgmlType::kF32, first, bytes);
    writer.write(std::span(bytes).first(4));
    writer.write(std::span(bytes).subspan(4));
    EXPECT_FALSE(std::filesystem::exists(path));
    bytes.clear();
    ggml_encode(GgmlType::kQ8_0, second, bytes);
    writer.write(bytes);
    writer.finish();
  }
  std::ifstream file(path, std::ios::binary);
  std::stringstream content;
  content << file.rdbuf();
  const std::string text = content.str();
  const std::span<const std::byte> bytes = std::as_bytes(std::span(text));
  EXPECT_EQ(text.substr(0, 4), "GGUF");
  EXPECT_EQ(at<uint32_t>(bytes, 4), 3u);
  EXPECT_EQ(at<uint64_t>(bytes, 8), 2u);
  EXPECT_EQ(at<uint64_t>(bytes, 16), 1u);
  // Key "n": 8 + 1 + 4 + 4 bytes; tensor "a": 8 + 1 + 4 + 8 + 4 + 8; tensor "b" with 8 more for its second dimension.
  constexpr size_t kB = 24 + 17 + 33;
  EXPECT_EQ(at<uint64_t>(bytes, kB + 13), 32u);  // innermost first
  EXPECT_EQ(at<uint64_t>(bytes, kB + 21), 1u);
  EXPECT_EQ(at<uint64_t>(bytes, kB + 33), 32u);  // 12 bytes of "a", padded
  constexpr size_t kData = (kB + 41 + 31) / 32 * 32;
  EXPECT_EQ(at<float>(bytes, kData + 8), 3);
  EXPECT_EQ(at<int8_t>(bytes, kData + 32 + 2), 127);
  EXPECT_EQ(bytes.size(), kData + 32 + 64);
}

TEST(GgufWriter, UnfinishedFilesGo) {
  const std::filesystem::path path = std::filesystem::path(testing::TempDir()) / "unfinished.gguf";
  {
    GgufWriter writer(path);
    writer.declare("a", GgmlType::kF32, {3});
    writer.begin();
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_FALSE(std::filesystem::exists(path.string() + ".partial"));
  EXPECT_THROW(GgufWriter("/nonexistent/x.gguf").begin(), Error);
}

}  // namespace
}  // namespace qwen
