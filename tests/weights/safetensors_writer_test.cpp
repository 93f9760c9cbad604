// What is written reads back, and an unfinished or failed file is never seen under its name.
#include "weights/safetensors_writer.h"

#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "base/mapped_file.h"
#include "support/expect_error.h"
#include "support/scratch_folder.h"
#include "weights/safetensors.h"

namespace qwen {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

TEST(SafetensorsWriter, WhatItWritesReadsBack) {
  const ScratchFolder scratch;
  const auto path = scratch.path() / "model.safetensors";
  SafetensorsWriter writer(path);
  writer.set_metadata("format", "pt");
  writer.declare("b \"quoted\"", DType::kBF16, {2, 3});
  writer.declare("a", DType::kU8, {3});
  writer.begin();
  EXPECT_FALSE(std::filesystem::exists(path)) << "visible before it is complete";
  writer.write(bytes_of("0123456789ab"));
  writer.write(bytes_of("xyz"));
  writer.finish();
  EXPECT_FALSE(std::filesystem::exists(path.string() + ".partial"));

  const std::string text = read_text_file(path, 1 << 20);
  const SafetensorsFile file = read_safetensors(bytes_of(text), "f");
  ASSERT_EQ(file.tensors.size(), 2u);
  EXPECT_EQ(file.header_bytes % 8, 0u);
  EXPECT_EQ(file.tensors[0].name, "b \"quoted\"");
  EXPECT_EQ(file.tensors[0].shape, (Shape{2, 3}));
  EXPECT_EQ(text.substr(file.tensors[0].offset, 12), "0123456789ab");
  EXPECT_EQ(text.substr(file.tensors[1].offset, 3), "xyz");
}

TEST(SafetensorsWriter, PartsMayComeInAnyOrderFromAnyThread) {
  const ScratchFolder scratch;
  const auto path = scratch.path() / "model.safetensors";
  SafetensorsWriter writer(path);
  const size_t a = writer.declare("a", DType::kU8, {4}), b = writer.declare("b", DType::kU8, {2});
  writer.begin();
  {
    const std::jthread other([&] { writer.write_at(b, 0, bytes_of("yz")); });
    writer.write_at(a, 2, bytes_of("cd"));
    writer.write_at(a, 0, bytes_of("ab"));
  }
  writer.finish();
  const std::string text = read_text_file(path, 1 << 20);
  EXPECT_EQ(text.substr(text.size() - 6), "abcdyz");
}

TEST(SafetensorsWriter, AnAbandonedFileLeavesNothingAndKeepsTheOldOne) {
  const ScratchFolder scratch;
  const auto path = scratch.write("model.safetensors", "old");
  {
    SafetensorsWriter writer(path);
    writer.declare("a", DType::kU8, {4});
    writer.begin();
    writer.write(bytes_of("ab"));
  }
  EXPECT_EQ(read_text_file(path, 100), "old");
  EXPECT_FALSE(std::filesystem::exists(path.string() + ".partial"));
}

TEST(SafetensorsWriter, SaysWhyItCannotWrite) {
  const ScratchFolder scratch;
  SafetensorsWriter writer(scratch.path() / "no-such-folder" / "model.safetensors");
  writer.declare("a", DType::kU8, {4});
  EXPECT_TRUE(fails_with([&] { writer.begin(); }, ErrorCode::kCannotCreate, "No such file"));
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  std::filesystem::create_symlink("/dev/full", scratch.path() / "full.partial");
  SafetensorsWriter full(scratch.path() / "full");
  full.declare("a", DType::kU8, {4});
  EXPECT_TRUE(fails_with([&] { full.begin(); }, ErrorCode::kCannotCreate, "No space left"));
}

}  // namespace
}  // namespace qwen
