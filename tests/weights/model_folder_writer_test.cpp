// A folder appears whole or not at all; nothing that is not a model is ever replaced.
#include "weights/model_folder_writer.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "base/mapped_file.h"
#include "support/expect_error.h"
#include "support/scratch_folder.h"
#include "weights/checkpoint.h"

namespace qwen {
namespace {

namespace fs = std::filesystem;

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

std::set<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename().string());
  return names;
}

void write_weights(ModelFolderWriter& writer, uint64_t max_shard_bytes = kMaxShardBytes) {
  writer.declare("a", DType::kU8, {6});
  writer.declare("b", DType::kBF16, {2});
  writer.declare("c", DType::kU8, {3});
  writer.begin(max_shard_bytes);
  writer.write_at("c", 0, bytes_of("xyz"));
  writer.write_at("a", 3, bytes_of("def"));
  writer.write_at("a", 0, bytes_of("abc"));
  writer.write_at("b", 0, bytes_of("0123"));
}

TEST(ModelFolderWriter, AppearsWhole) {
  const ScratchFolder scratch;
  const fs::path folder = scratch.path() / "deep" / "model";
  {
    ModelFolderWriter writer(folder.string() + "/", false);
    write_weights(writer);
    writer.write_text("notes.json", "{}");
    EXPECT_FALSE(fs::exists(folder));
    writer.finish("{\"model\": 1}");
  }
  EXPECT_EQ(names_in(folder), (std::set<std::string>{"config.json", "model.safetensors", "notes.json"}));
  EXPECT_EQ(names_in(folder.parent_path()), std::set<std::string>{"model"});
  const Checkpoint checkpoint = Checkpoint::open(folder);
  EXPECT_EQ(std::string(checkpoint.view("a").as<char>(), 6), "abcdef");
  EXPECT_EQ(read_text_file(folder / "config.json", 100), "{\"model\": 1}");
}

TEST(ModelFolderWriter, CutsIntoShardsWithAnIndex) {
  const ScratchFolder scratch;
  const fs::path folder = scratch.path() / "model";
  ModelFolderWriter writer(folder, false);
  write_weights(writer, 8);  // a alone, b and c together
  writer.finish("{}");
  EXPECT_EQ(names_in(folder),
            (std::set<std::string>{"config.json", "model-00001-of-00002.safetensors",
                                   "model-00002-of-00002.safetensors", "model.safetensors.index.json"}));
  const Checkpoint checkpoint = Checkpoint::open(folder);
  EXPECT_EQ(checkpoint.tensors().size(), 3u);
  EXPECT_EQ(std::string(checkpoint.view("c").as<char>(), 3), "xyz");
  EXPECT_NE(read_text_file(folder / "model.safetensors.index.json", 1000).find("\"total_size\": 13"),
            std::string::npos);
}

TEST(ModelFolderWriter, WhatIsAbandonedOrKilledLeavesNothingHalf) {
  const ScratchFolder scratch;
  const fs::path folder = scratch.path() / "model", partial = scratch.path() / "model.partial";
  {
    ModelFolderWriter writer(folder, false);
    write_weights(writer);
    EXPECT_TRUE(fs::exists(partial));
  }
  EXPECT_TRUE(names_in(scratch.path()).empty());
  // What a killed process leaves: the next one takes it over.
  fs::create_directory(partial);
  std::ofstream(partial / ".qwen-thinking-partial");
  std::ofstream(partial / "model.safetensors.partial") << "rest";
  ModelFolderWriter writer(folder, false);
  EXPECT_FALSE(fs::exists(partial / "model.safetensors.partial"));
  EXPECT_TRUE(
      fails_with([&] { ModelFolderWriter(folder, false); }, ErrorCode::kCannotCreate, "another process writes it"));
  write_weights(writer);
  writer.finish("{}");
  EXPECT_EQ(names_in(scratch.path()), std::set<std::string>{"model"});
}

TEST(ModelFolderWriter, ReplacesModelsOnly) {
  const ScratchFolder scratch;
  const fs::path folder = scratch.path() / "model";
  fs::create_directory(folder);
  std::ofstream(folder / "old.txt") << "kept";
  EXPECT_TRUE(fails_with([&] { ModelFolderWriter(folder, false); }, ErrorCode::kCannotCreate, "is not empty"));
  EXPECT_TRUE(fails_with([&] { ModelFolderWriter(folder, true); }, ErrorCode::kCannotCreate, "holds no model"));
  std::ofstream(folder / "config.json") << "old";
  {
    ModelFolderWriter abandoned(folder, true);
    write_weights(abandoned);
  }
  EXPECT_EQ(names_in(folder), (std::set<std::string>{"config.json", "old.txt"}));
  ModelFolderWriter writer(folder, true);
  write_weights(writer);
  writer.finish("new");
  EXPECT_EQ(names_in(folder), (std::set<std::string>{"config.json", "model.safetensors"}));
  EXPECT_EQ(names_in(scratch.path()), std::set<std::string>{"model"});

  const fs::path file = scratch.write("file", "x");
  EXPECT_TRUE(fails_with([&] { ModelFolderWriter(file, true); }, ErrorCode::kCannotCreate, "is a file"));
  fs::create_directory(scratch.path() / "other.partial");
  std::ofstream(scratch.path() / "other.partial" / "precious.txt");
  EXPECT_TRUE(fails_with([&] { ModelFolderWriter(scratch.path() / "other", false); }, ErrorCode::kCannotCreate,
                         "somebody else's"));
  EXPECT_TRUE(fs::exists(scratch.path() / "other.partial" / "precious.txt"));
}

TEST(ModelFolderWriter, CopiesWhatIsNoWeightAndNoDescriptionOfWeights) {
  const ScratchFolder model, scratch;
  for (const char* name : {"tokenizer.json", "merges.txt", "chat_template.jinja", "LICENSE", "generation_config.json"})
    model.write(name, name);
  for (const char* name : {"config.json", "quantize_config.json", "model.safetensors", "model.safetensors.index.json",
                           "pytorch_model.bin", ".hidden"})
    model.write(name, name);
  fs::create_directory(model.path() / "onnx");
  fs::create_symlink(model.path() / "LICENSE", model.path() / "NOTICE");  // as a hub's cache has them
  fs::create_symlink(model.path() / "absent", model.path() / "dangling.txt");
  ModelFolderWriter writer(scratch.path() / "out", false);
  writer.copy_small_files(model.path());
  write_weights(writer);
  writer.finish("{}");
  EXPECT_EQ(names_in(scratch.path() / "out"),
            (std::set<std::string>{"LICENSE", "NOTICE", "chat_template.jinja", "config.json", "generation_config.json",
                                   "merges.txt", "model.safetensors", "tokenizer.json"}));
  EXPECT_EQ(read_text_file(scratch.path() / "out" / "NOTICE", 100), "LICENSE");
}

}  // namespace
}  // namespace qwen
