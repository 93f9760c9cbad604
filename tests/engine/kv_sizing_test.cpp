// How the size of the KV cache follows from memory and wishes.
#include "engine/kv_sizing.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace qwen {
namespace {

constexpr size_t kGiB = size_t{1} << 30;

KvSizingInput qwen3_4b() {
  KvSizingInput input;
  input.bytes_per_token = 147456;
  input.free_memory = 64 * kGiB;
  input.block_size = 64;
  input.max_num_seqs = 16;
  input.model_max_len = 262144;
  return input;
}

ErrorCode error_of(const KvSizingInput& input) {
  try {
    size_kv_cache(input);
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::kInternal;
}

TEST(KvSizing, DefaultLengthIs32768) {
  const KvSizing sizing = size_kv_cache(qwen3_4b());
  EXPECT_EQ(sizing.max_model_len, 32768);
  EXPECT_LE(uint64_t(sizing.num_blocks) * 64 * 147456, 64 * kGiB * 6 / 10);
  EXPECT_GE(uint64_t(sizing.num_blocks + 1) * 64 * 147456, 64 * kGiB * 6 / 10);
}

TEST(KvSizing, NoMoreThanAllSequencesCanUse) {
  KvSizingInput input = qwen3_4b();
  input.max_model_len = 100;
  EXPECT_EQ(size_kv_cache(input).num_blocks, 2 * 16);
}

TEST(KvSizing, LittleMemoryShortensTheDefaultLength) {
  KvSizingInput input = qwen3_4b();
  input.free_memory = kGiB;
  const KvSizing sizing = size_kv_cache(input);
  EXPECT_EQ(sizing.max_model_len, sizing.num_blocks * 64);
  EXPECT_LT(sizing.max_model_len, 32768);
}

TEST(KvSizing, ExactBytesAreHonoured) {
  KvSizingInput input = qwen3_4b();
  input.kv_cache_bytes = 10 * 64 * 147456 + 1;
  EXPECT_EQ(size_kv_cache(input).num_blocks, 10);
}

TEST(KvSizing, AskedLengthIsNeverShortened) {
  KvSizingInput input = qwen3_4b();
  input.max_model_len = 40960;
  input.free_memory = kGiB;
  EXPECT_EQ(error_of(input), ErrorCode::kOs);
  input.kv_cache_bytes = kGiB;
  EXPECT_EQ(error_of(input), ErrorCode::kConfig);
}

TEST(KvSizing, MoreThanTheModelHasIsRefused) {
  KvSizingInput input = qwen3_4b();
  input.max_model_len = 262145;
  EXPECT_EQ(error_of(input), ErrorCode::kConfig);
}

TEST(KvSizing, NoMemoryNamesBothNumbers) {
  KvSizingInput input = qwen3_4b();
  input.free_memory = 1 << 20;
  try {
    size_kv_cache(input);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOs);
    EXPECT_NE(std::string(error.what()).find("9 MiB"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("1 MiB"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace qwen
