// A folder appears whole or not at all; nothing that is not a model is ever replaced.
#include "weights/model_folder_writer.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "base/error.h"
#include "base/mapped_file.h"
#include "support/expect_error.h"
#include "support/scratch_folder.h"
#include "weights/checkpoint.h"
#include "weights/model_folder_files.h"

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

void write_model(const fs::path& folder) {
  ModelFolderWriter writer(folder, true);
  write_weights(writer);
  writer.finish(R"({"model_type": "qwen3"})");
}

testing::AssertionResult refused(const fs::path& folder, std::string_view words, bool replace = true) {
  return fails_with([&] { ModelFolderWriter(folder, replace); }, ErrorCode::kCannotCreate, words);
}

TEST(ModelFolderWriter, ReplacesModelsOnly) {
  const ScratchFolder scratch;
  const fs::path folder = scratch.path() / "model";
  fs::create_directory(folder);
  std::ofstream(folder / "old.txt") << "kept";
  EXPECT_TRUE(refused(folder, "is not empty", false));
  EXPECT_TRUE(refused(folder, "holds no model (no config.json of one)"));
  for (const char* config : {"old", "[]", R"({"name": "an editor's settings"})"}) {
    std::ofstream(folder / "config.json") << config;
    EXPECT_TRUE(refused(folder, "holds no model (no config.json of one)")) << config;
  }
  std::ofstream(folder / "config.json") << R"({"architectures": []})";
  EXPECT_TRUE(refused(folder, "holds no model (no weights)"));
  std::ofstream(folder / "pytorch_model.bin") << "weights";
  for (const char* foreign : {"thesis.tex", ".git", "data.csv"}) {
    std::ofstream(folder / foreign) << "precious";
    EXPECT_TRUE(refused(folder, str("holds ", foreign, ", which belongs to no model")));
    EXPECT_TRUE(fs::remove(folder / foreign));
  }
  fs::create_directory(folder / "checkpoints.json");
  EXPECT_TRUE(refused(folder, "holds checkpoints.json, which belongs to no model"));
  EXPECT_TRUE(fs::remove(folder / "checkpoints.json"));
  {
    ModelFolderWriter abandoned(folder, true);
    write_weights(abandoned);
  }
  EXPECT_EQ(names_in(folder), (std::set<std::string>{"config.json", "old.txt", "pytorch_model.bin"}));
  write_model(folder);
  EXPECT_EQ(names_in(folder), (std::set<std::string>{"config.json", "model.safetensors"}));
  EXPECT_EQ(names_in(scratch.path()), std::set<std::string>{"model"});
}

TEST(ModelFolderWriter, RefusesAtOnceWhatItCannotWrite) {
  const ScratchFolder scratch;
  EXPECT_TRUE(fails_with([] { ModelFolderWriter("", true); }, ErrorCode::kUsage, "--output is empty"));
  EXPECT_TRUE(refused(scratch.write("file", "x"), "is a file"));
  EXPECT_TRUE(refused("/proc", "is a mount point; name a folder below it"));
  fs::create_symlink(scratch.path() / "absent", scratch.path() / "dangling");
  EXPECT_TRUE(refused(scratch.path() / "dangling", "a symbolic link that leads nowhere"));
  const fs::path theirs = scratch.path() / "other.partial";
  fs::create_directory(theirs);
  std::ofstream(theirs / "precious.txt");
  EXPECT_TRUE(refused(scratch.path() / "other", "somebody else's", false));
  EXPECT_TRUE(fs::exists(theirs / "precious.txt"));
  fs::create_directory(theirs / "folder");
  std::ofstream(theirs / ".qwen-thinking-partial");
  EXPECT_TRUE(refused(scratch.path() / "other", "somebody else's", false));
  EXPECT_TRUE(fs::exists(theirs / "folder"));
}

TEST(ModelFolderWriter, WhatIsLeftOfAReplacementDoesNotStopTheNext) {
  const ScratchFolder scratch;
  const fs::path folder = scratch.path() / "model", aside = scratch.path() / "model.replaced";
  write_model(folder);
  write_model(aside);
  EXPECT_TRUE(refused(folder, "model.replaced is in the way"));
  std::ofstream(aside / ".qwen-thinking-partial");
  write_model(folder);
  EXPECT_EQ(names_in(scratch.path()), std::set<std::string>{"model"});
  // Killed before anything took the old folder's place.
  std::ofstream(folder / ".qwen-thinking-partial");
  fs::rename(folder, aside);
  EXPECT_TRUE(refused(folder, "is not empty", false));
  EXPECT_FALSE(fs::exists(aside));
  write_model(folder);
  EXPECT_EQ(names_in(folder), (std::set<std::string>{"config.json", "model.safetensors"}));
}

TEST(ModelFolderWriter, KeepsWhatOnlyLacksItsName) {
  const ScratchFolder scratch;
  const fs::path folder = scratch.path() / "model", partial = scratch.path() / "model.partial";
  {
    ModelFolderWriter writer(folder, true);
    write_weights(writer);
    fs::create_directory(folder);
    std::ofstream(folder / "thesis.tex") << "meanwhile";
    EXPECT_TRUE(fails_with([&] { writer.finish("{}"); }, ErrorCode::kCannotCreate, "all is written and kept as "));
  }
  EXPECT_EQ(names_in(partial), (std::set<std::string>{"config.json", "model.safetensors"}));
  EXPECT_EQ(names_in(folder), std::set<std::string>{"thesis.tex"});
  EXPECT_TRUE(refused(scratch.path() / "model", "thesis.tex"));
  fs::remove_all(folder);
  EXPECT_TRUE(refused(folder, "it is complete, or somebody else's"));
  EXPECT_TRUE(fs::exists(partial / "model.safetensors"));
}

TEST(ModelFolderFiles, LinksLeadIntoAFolder) {
  const ScratchFolder scratch;
  const fs::path out = scratch.path() / "out", away = scratch.path() / "away";
  fs::create_directory(out);
  fs::create_directory(away);
  scratch.write("out/weights", "");
  scratch.write("away/weights", "");
  fs::create_symlink("../out/weights", away / "direct");
  fs::create_symlink("../away/weights", out / "back");
  fs::create_symlink("../out/back", away / "through");  // ends elsewhere, but is gone without the folder
  fs::create_directory_symlink("../out", away / "folder");
  for (const char* inside : {"direct", "through", "folder/weights", "../out/weights"})
    EXPECT_TRUE(leads_into(away / inside, out)) << inside;
  for (const char* outside : {"weights", "absent"}) EXPECT_FALSE(leads_into(away / outside, out)) << outside;
  EXPECT_FALSE(leads_into(away / "weights", scratch.path() / "absent"));
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
  model.write("train.py", "");
  fs::resize_file(model.write("history.json", ""), (64 << 20) + 1);
  const std::vector<std::string> left_out = writer.copy_small_files(model.path());
  EXPECT_EQ((std::set<std::string>{left_out.begin(), left_out.end()}),
            (std::set<std::string>{"history.json", "train.py"}));
  write_weights(writer);
  writer.finish("{}");
  EXPECT_EQ(names_in(scratch.path() / "out"),
            (std::set<std::string>{"LICENSE", "NOTICE", "chat_template.jinja", "config.json", "generation_config.json",
                                   "merges.txt", "model.safetensors", "tokenizer.json"}));
  EXPECT_EQ(read_text_file(scratch.path() / "out" / "NOTICE", 100), "LICENSE");
}

}  // namespace
}  // namespace qwen
