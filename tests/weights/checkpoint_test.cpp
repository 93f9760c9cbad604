// Folders, sources and shards: the right tensors, or the right error.
#include "weights/checkpoint.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <utility>

#include "support/expect_error.h"
#include "support/scratch_folder.h"
#include "support/tiny_checkpoint.h"
#include "support/torch_file.h"
#include "weights/safetensors_writer.h"

namespace qwen {
namespace {

namespace fs = std::filesystem;

void write_shard(const fs::path& path, const std::vector<std::pair<std::string, std::string>>& tensors) {
  SafetensorsWriter writer(path);
  for (const auto& [name, bytes] : tensors) writer.declare(name, DType::kU8, {static_cast<int64_t>(bytes.size())});
  writer.begin();
  for (const auto& [name, bytes] : tensors) writer.write(std::as_bytes(std::span(bytes)));
  writer.finish();
}

std::string text_of(const TensorView& view) { return {view.as<char>(), view.size_bytes()}; }

auto opening(const fs::path& path) {
  return [path] { Checkpoint::open(path); };
}

TEST(Checkpoint, SingleFile) {
  const TinyCheckpoint tiny;
  const Checkpoint checkpoint = Checkpoint::open(tiny.folder());
  uint64_t bytes = 0;
  for (const NamedShape& tensor : tiny_tensors({})) {
    const TensorInfo* info = checkpoint.find(tensor.name);
    ASSERT_NE(info, nullptr) << tensor.name;
    EXPECT_EQ(info->shape, tensor.shape);
    bytes += info->size_bytes;
  }
  EXPECT_EQ(checkpoint.tensors().size(), tiny_tensors({}).size());
  EXPECT_EQ(checkpoint.total_bytes(), bytes);
  for (size_t i = 1; i < checkpoint.tensors().size(); ++i)
    EXPECT_LT(checkpoint.tensors()[i - 1].name, checkpoint.tensors()[i].name);
  EXPECT_EQ(checkpoint.find("model.norm"), nullptr);
  EXPECT_TRUE(fails_with([&] { checkpoint.view("model.norm"); }, ErrorCode::kBadData, "\"model.norm\" is missing"));
}

TEST(Checkpoint, ALinkThatLeadsNowhereIsWeightsThatCannotBeRead) {
  for (const char* name :
       {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"}) {
    const ScratchFolder folder;
    folder.write("config.json", "{}");
    EXPECT_FALSE(Checkpoint::exists(folder.path()));
    fs::create_symlink("nowhere", folder.path() / name);
    EXPECT_TRUE(Checkpoint::exists(folder.path()));
    EXPECT_TRUE(fails_with(opening(folder.path()), ErrorCode::kMissingFile, name));
  }
}

TEST(Checkpoint, AViewMayBeReleasedAndTakenAgain) {
  const TinyCheckpoint tiny;
  const Checkpoint checkpoint = Checkpoint::open(tiny.folder());
  const TensorView view = checkpoint.view("model.embed_tokens.weight");
  const std::vector<float> before(view.as<float>(), view.as<float>() + view.shape.num_elements());
  checkpoint.release("model.embed_tokens.weight");
  const TensorView again = checkpoint.view("model.embed_tokens.weight");
  EXPECT_EQ(std::memcmp(before.data(), again.data, again.size_bytes()), 0);
}

TEST(Checkpoint, AMisalignedTensorIsCopied) {
  const ScratchFolder scratch;
  SafetensorsWriter writer(scratch.path() / "model.safetensors");
  writer.declare("odd", DType::kU8, {3});
  writer.declare("floats", DType::kF32, {2});
  writer.begin();
  const float values[2] = {1.5f, -2.5f};
  writer.write(std::as_bytes(std::span("abc", 3)));
  writer.write(std::as_bytes(std::span(values)));
  writer.finish();
  const Checkpoint checkpoint = Checkpoint::open(scratch.path());
  for (int round = 0; round < 2; ++round) {
    const TensorView view = checkpoint.view("floats");
    EXPECT_EQ(reinterpret_cast<uintptr_t>(view.data) % alignof(float), 0u);
    EXPECT_EQ(view.as<float>()[1], -2.5f);
    EXPECT_EQ(checkpoint.view("floats").data, view.data);
    checkpoint.release("floats");
  }
}

TEST(Checkpoint, TheFingerprintTellsCheckpointsApart) {
  const TinyCheckpoint tiny;
  const uint64_t fingerprint = Checkpoint::open(tiny.folder()).fingerprint();
  EXPECT_EQ(Checkpoint::open(tiny.folder()).fingerprint(), fingerprint);
  const fs::path file = tiny.folder() / "model.safetensors";
  fs::last_write_time(file, fs::last_write_time(file) + std::chrono::seconds(1));
  EXPECT_NE(Checkpoint::open(tiny.folder()).fingerprint(), fingerprint);
}

TEST(Checkpoint, TheFolderItself) {
  const ScratchFolder scratch;
  const fs::path file = scratch.write("file", "x");
  fs::create_directory(scratch.path() / "empty");
  fs::create_directory_symlink(scratch.path() / "nowhere", scratch.path() / "dangling");
  EXPECT_TRUE(
      fails_with(opening(scratch.path() / "missing"), ErrorCode::kMissingFile, "no such folder; point --model"));
  EXPECT_TRUE(fails_with(opening(scratch.path() / "empty"), ErrorCode::kMissingFile, "empty; point --model"));
  EXPECT_TRUE(fails_with(opening(file), ErrorCode::kMissingFile, "is a file, not a folder; point --model"));
  EXPECT_TRUE(fails_with(opening(file / "below"), ErrorCode::kMissingFile, "point --model"));
  EXPECT_TRUE(
      fails_with(opening(scratch.path() / "dangling"), ErrorCode::kMissingFile, "leads nowhere; point --model"));
  EXPECT_TRUE(fails_with(opening(""), ErrorCode::kMissingFile, "path is empty"));
  EXPECT_TRUE(fails_with(opening(std::string("a\0b", 3)), ErrorCode::kMissingFile, "NUL"));
  EXPECT_TRUE(fails_with(opening(std::string(5000, 'a')), ErrorCode::kMissingFile, "name too long"));
  EXPECT_TRUE(fails_with(opening(scratch.path()), ErrorCode::kMissingFile, "no model.safetensors, "));
  fs::create_symlink("nowhere", scratch.path() / "model.safetensors");
  EXPECT_TRUE(fails_with(opening(scratch.path()), ErrorCode::kMissingFile, "model.safetensors: No such file"));
  fs::remove(scratch.path() / "model.safetensors");
  fs::create_directory(scratch.path() / "model.safetensors");
  EXPECT_TRUE(fails_with(opening(scratch.path()), ErrorCode::kMissingFile, "not a regular file"));
}

TEST(Checkpoint, APipeIsRefusedWithoutWaiting) {
  const ScratchFolder scratch;
  ASSERT_EQ(::mkfifo((scratch.path() / "model.safetensors").c_str(), 0600), 0);
  EXPECT_TRUE(fails_with(opening(scratch.path()), ErrorCode::kMissingFile, "not a regular file"));
}

TEST(Checkpoint, Permissions) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may read everything";
  const TinyCheckpoint tiny;
  fs::permissions(tiny.folder() / "model.safetensors", fs::perms::none);
  EXPECT_TRUE(fails_with(opening(tiny.folder()), ErrorCode::kPermission, "Permission denied"));
  fs::permissions(tiny.folder(), fs::perms::none);
  EXPECT_TRUE(fails_with(opening(tiny.folder()), ErrorCode::kPermission, "permission denied"));
}

TEST(Checkpoint, SourcesInOrder) {
  const ScratchFolder scratch;
  const std::string storage = "data";
  scratch.write("pytorch_model.bin",
                torch_archive(pickle_state_dict({{.name = "t", .storage_size = 1, .size = {1}, .stride = {1}}}),
                              {{"0", storage}}));
  EXPECT_EQ(text_of(Checkpoint::open(scratch.path()).view("t")), "data");
  write_shard(scratch.path() / "s.safetensors", {{"t", "shard"}});
  scratch.write("model.safetensors.index.json", R"({"weight_map": {"t": "s.safetensors"}})");
  EXPECT_EQ(text_of(Checkpoint::open(scratch.path()).view("t")), "shard");
  write_shard(scratch.path() / "model.safetensors", {{"t", "single"}});
  EXPECT_EQ(text_of(Checkpoint::open(scratch.path()).view("t")), "single");
}

class Shards : public testing::Test {
 protected:
  Shards() {
    write_shard(folder() / "one.safetensors", {{"a", "AAA"}, {"b", "BB"}});
    write_shard(folder() / "two.safetensors", {{"c", "C"}});
  }
  const fs::path& folder() const { return scratch_.path(); }
  void index(const std::string& text) { scratch_.write("model.safetensors.index.json", text); }
  void map(const std::string& entries) {
    index(R"({"metadata": {"total_size": 6, "x": [[]]}, "weight_map": {)" + entries + "}}");
  }
  testing::AssertionResult refused(const char* words) const {
    return fails_with(opening(folder()), ErrorCode::kBadData, words);
  }

  ScratchFolder scratch_;
};

const std::string kA = R"("a": "one.safetensors")", kB = R"(, "b": "one.safetensors")",
                  kC = R"(, "c": "two.safetensors")";

TEST_F(Shards, AreOneCheckpoint) {
  map(kA + kB + kC);
  const Checkpoint checkpoint = Checkpoint::open(folder());
  EXPECT_EQ(text_of(checkpoint.view("a")), "AAA");
  EXPECT_EQ(text_of(checkpoint.view("b")), "BB");
  EXPECT_EQ(text_of(checkpoint.view("c")), "C");
  EXPECT_EQ(checkpoint.total_bytes(), 6u);
}

TEST_F(Shards, OfTorch) {
  fs::remove(folder() / "one.safetensors");
  const TorchTensor tensor{.name = "t", .storage_size = 1, .size = {1}, .stride = {1}};
  scratch_.write("one.bin", torch_archive(pickle_state_dict({tensor}), {{"0", "data"}}));
  scratch_.write("pytorch_model.bin.index.json", R"({"weight_map": {"t": "one.bin"}})");
  EXPECT_EQ(text_of(Checkpoint::open(folder()).view("t")), "data");
  scratch_.write("pytorch_model.bin.index.json", R"({"weight_map": {"t": "two.safetensors"}})");
  EXPECT_TRUE(refused("ending in .bin"));
}

TEST_F(Shards, MissingOrOfAnotherModel) {
  map(kA + kB + R"(, "c": "three.safetensors")");
  EXPECT_TRUE(refused("three.safetensors: missing, but model.safetensors.index.json"));
  map(kA + kB + R"(, "c": "two.safetensors", "d": "two.safetensors")");
  EXPECT_TRUE(refused("two.safetensors: lacks tensor \"d\""));
  map(kA + kB + R"(, "c": "one.safetensors")");
  EXPECT_TRUE(refused("one.safetensors: lacks tensor \"c\""));
  write_shard(folder() / "two.safetensors", {{"c", "C"}, {"a", "A"}});
  map(kA + kB + kC);
  EXPECT_TRUE(refused("tensor \"a\" is both in one.safetensors and in two.safetensors"));
}

TEST_F(Shards, AnIndexThatPointsOutsideTheFolder) {
  write_shard(folder().parent_path() / "outside.safetensors", {{"a", "AAA"}});
  const std::string absolute = (folder() / "one.safetensors").string();
  for (const std::string& file :
       {std::string("../outside.safetensors"), absolute, std::string("./one.safetensors"), std::string(".."),
        std::string(""), std::string("x/../one.safetensors"), std::string("..\\\\one.safetensors"),
        std::string("one.safetensors\\u0000.safetensors"), std::string("one.safetensors\\n"),
        std::string("config.json"), std::string(".hidden.safetensors"), std::string(300, 'a') + ".safetensors"}) {
    map("\"a\": \"" + file + "\"");
    EXPECT_TRUE(refused("allowed is a plain file name")) << file;
  }
  fs::remove(folder().parent_path() / "outside.safetensors");
}

TEST_F(Shards, AnIndexThatIsNoIndex) {
  for (const auto& [text, words] : std::vector<std::pair<std::string, const char*>>{
           {"", "not valid JSON"},
           {"{", "not valid JSON"},
           {"[]", "not a JSON object"},
           {"7", "not a JSON object"},
           {"{}", "no weight_map"},
           {R"({"weight_map": []})", "weight_map is not an object"},
           {R"({"weight_map": "x"})", "weight_map is not an object"},
           {R"({"weight_map": {"a": 1}})", "is not a file name"},
           {R"({"weight_map": {"a": {"b": "one.safetensors"}}})", "is not a file name"},
           {R"({"weight_map": {"a": ["one.safetensors"]}})", "is not a file name"},
           {R"({"weight_map": {)" + kA + ", " + kA + "}}", "listed twice"},
           {R"({"weight_map": {)" + kA + R"(}, "weight_map": {}})", "weight_map twice"},
           {std::string("{\"weight_map\": {}}\0", 19), "NUL"},
           {"{\"metadata\": " + std::string(100000, '['), "nested deeper"},
           {std::string(10 << 20, ' '), "more than the 8388608 allowed"},
       }) {
    index(text);
    EXPECT_TRUE(refused(words)) << text.substr(0, 60);
  }
}

TEST_F(Shards, TooManyFiles) {
  std::string entries;
  for (int i = 0; i < 1100; ++i) entries += str(i ? ", " : "", "\"t", i, "\": \"", i, ".safetensors\"");
  map(entries);
  EXPECT_TRUE(refused("more than 1024 files"));
}

}  // namespace
}  // namespace qwen
