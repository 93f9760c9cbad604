// The second start computes what the first did, to the bit; whatever is wrong with the file, the model starts and the
// file is made anew.
#include "model/packed_cache.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <random>
#include <utility>

#include "backend/create.h"
#include "model/model_driver.h"
#include "model/registry.h"
#include "support/scratch_folder.h"
#include "support/tiny_checkpoint.h"
#include "weights/packed_file_layout.h"
#include "weights/packed_file_places.h"

namespace qwen {
namespace {

namespace fs = std::filesystem;
using Logits = std::vector<std::vector<float>>;

const std::vector<TokenId> kPrompt = {1, 17, 300, 42, 511, 8};

void flip(std::string& bytes, size_t i) { bytes[i] = static_cast<char>(bytes[i] ^ 1); }

struct Start {
  bool found = false, written = false;
  Logits logits;
};

Start start(const fs::path& model, std::string_view format, const PackedCacheOptions& options) {
  const ModelConfig config = ModelConfig::load(model);
  const Checkpoint checkpoint = Checkpoint::open(model);
  const ModelOptions model_options{32, 32, 64, weight_formats(format)};
  auto backend = create_backend({.threads = 2});
  PackedCache cache(checkpoint, config.quantization, model_options.formats, *backend, options);
  const auto loaded = load_model(checkpoint, config, std::move(backend), model_options, {}, &cache);
  return {cache.found(), cache.written(), ModelDriver(*loaded, 64).append(kPrompt, 32)};
}

class PackedCacheTest : public testing::Test {
 protected:
  void SetUp() override {
    if (create_backend({})->packing(weight_formats("int4").linear).empty())
      GTEST_SKIP() << "the kernels of this CPU keep no packed weights";
    if (on_memory_file_system(folder_.path())) GTEST_SKIP() << "TMPDIR is in memory, where no packed weights are kept";
  }

  Start run(std::string_view format = "int4") { return start(model_.folder(), format, options_); }
  std::vector<fs::path> files() {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(folder_.path())) found.push_back(entry.path());
    return found;
  }
  // Reads and changes the only file.
  void damage(const std::function<void(std::string&)>& change) {
    ASSERT_EQ(files().size(), 1u);
    std::ifstream in(files()[0], std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(in)), {});
    change(bytes);
    folder_.write(files()[0].filename().string(), bytes);
  }
  // Two starts from here on: the first does not believe what lies there, the second finds a new file.
  void expect_made_anew(const Logits& expected, std::string_view format = "int4") {
    const Start first = run(format), second = run(format);
    EXPECT_FALSE(first.found);
    EXPECT_TRUE(first.written);
    EXPECT_TRUE(second.found);
    EXPECT_EQ(first.logits, expected);
    EXPECT_EQ(second.logits, expected);
    EXPECT_EQ(files().size(), 1u);
  }

  TinyCheckpoint model_{{.tie_word_embeddings = false, .attention_bias = true, .dtype = DType::kBF16}};
  ScratchFolder folder_;
  PackedCacheOptions options_{.folder = folder_.path().string()};
};

TEST_F(PackedCacheTest, TheSecondStartComputesTheSameBits) {
  for (const char* format : {"int8", "int4"}) {
    const Start without = start(model_.folder(), format, {.enabled = false});
    EXPECT_FALSE(without.found || without.written);
    const Start first = run(format), second = run(format);
    EXPECT_TRUE(first.written && !first.found);
    EXPECT_TRUE(second.found && !second.written);
    options_.access = PackedAccess::kMap;
    const Start mapped = run(format);
    options_.access = PackedAccess::kCopy;
    EXPECT_TRUE(mapped.found);
    EXPECT_EQ(first.logits, without.logits);
    EXPECT_EQ(second.logits, without.logits);
    EXPECT_EQ(mapped.logits, without.logits);
  }
  EXPECT_EQ(files().size(), 2u);  // one for each format
}

// A folder's own integers, some of them in an order of their own, and int8 weights beside them.
TEST_F(PackedCacheTest, AFoldersOwnIntegersAreKeptToo) {
  for (const char* model :
       {"gptq-int4-g64-asym", "gptq-int4-g128-sym-desc_act", "gptq-int8-g128-sym", "awq-int4-g128"}) {
    const fs::path folder = fs::path(QWEN_SHARED_DATA) / "golden/tiny-models" / model;
    if (!fs::exists(folder)) GTEST_SKIP() << "no golden model " << model << " in " << QWEN_SHARED_DATA;
    const std::string method = std::string(model).substr(0, std::string(model).find('-'));
    for (const char* format : {"none", "int8"}) {
      const Start without = start(folder, format, {.enabled = false});
      const Start first = start(folder, format, options_), second = start(folder, format, options_);
      EXPECT_TRUE(first.written && !first.found) << model;
      EXPECT_TRUE(second.found && !second.written) << model;
      EXPECT_EQ(first.logits, without.logits) << model;
      EXPECT_EQ(second.logits, without.logits) << model;
    }
    ASSERT_EQ(files().size(), 2u);
    for (const fs::path& file : files()) {
      EXPECT_NE(file.filename().string().find("." + method), std::string::npos) << file;
      fs::remove(file);
    }
  }
}

TEST_F(PackedCacheTest, PlainWeightsAndSmallModelsLeaveNoFile) {
  EXPECT_FALSE(run("none").written);
  EXPECT_TRUE(files().empty());
  options_.folder.clear();
  EXPECT_FALSE(run("int4").written);
  EXPECT_FALSE(fs::exists(model_.folder().string() + ".int4.packed"));
}

TEST_F(PackedCacheTest, DamageIsSeenAndMended) {
  const Logits expected = run().logits;
  std::mt19937 random(3);
  size_t size = 0;
  damage([&](std::string& bytes) { size = bytes.size(); });
  for (const double place : {0.0, 0.001, 0.3, 0.7, 0.999}) {
    damage([&](std::string& bytes) { bytes.resize(static_cast<size_t>(place * static_cast<double>(size))); });
    expect_made_anew(expected);
  }
  for (int i = 0; i < 8; ++i) {  // all of an entry's pages are weights here, but for the last
    damage([&](std::string& bytes) { flip(bytes, 4096 + random() % 4096); });
    expect_made_anew(expected);
  }
  damage([](std::string& bytes) { flip(bytes, 8); });  // the version
  expect_made_anew(expected);
  damage([](std::string& bytes) { bytes.assign(bytes.size(), '\0'); });
  expect_made_anew(expected);
}

TEST_F(PackedCacheTest, AnotherModelsFileIsNotBelieved) {
  const Logits expected = run().logits;
  std::string own;
  damage([&](std::string& bytes) { own = bytes; });
  const TinyCheckpoint other({.tie_word_embeddings = false, .attention_bias = true, .dtype = DType::kBF16, .seed = 2});
  ScratchFolder others;
  ASSERT_TRUE(start(other.folder(), "int4", {.folder = others.path().string()}).written);
  const fs::path foreign = fs::directory_iterator(others.path())->path();
  fs::copy_file(foreign, files()[0], fs::copy_options::overwrite_existing);
  expect_made_anew(expected);
  // The same model in another format.
  const Logits expected_int8 = run("int8").logits;
  for (const fs::path& file : files())
    if (file.string().ends_with(".int8.packed")) folder_.write(file.filename().string(), own);
  const Start int8 = run("int8");
  EXPECT_FALSE(int8.found);
  EXPECT_EQ(int8.logits, expected_int8);
}

TEST_F(PackedCacheTest, AChangedModelIsQuantizedAgain) {
  run();
  const fs::path weights = model_.folder() / "model.safetensors", config = model_.folder() / "config.json";
  const auto time = fs::last_write_time(weights);
  fs::last_write_time(weights, time + std::chrono::seconds(1));
  EXPECT_FALSE(run().found);
  EXPECT_TRUE(run().found);
  std::ofstream(config, std::ios::app) << "\n";
  EXPECT_FALSE(run().found);
  EXPECT_TRUE(run().found);
  // Other numbers at the same size and time, as in an image that gives every file one time.
  const TinyCheckpoint other({.tie_word_embeddings = false, .attention_bias = true, .dtype = DType::kBF16, .seed = 2});
  fs::copy_file(other.folder() / "model.safetensors", weights, fs::copy_options::overwrite_existing);
  fs::last_write_time(weights, time + std::chrono::seconds(1));
  const Start changed = run();
  EXPECT_FALSE(changed.found);
  EXPECT_EQ(changed.logits, start(other.folder(), "int4", {.enabled = false}).logits);
}

TEST_F(PackedCacheTest, WithoutAFolderTheModelStartsAllTheSame) {
  const Logits expected = run().logits;
  const fs::path file = folder_.write("a-file", "");
  for (const std::string& folder : {file.string(), std::string("/proc/none"), std::string("/dev/shm")}) {
    if (folder == "/dev/shm" && !on_memory_file_system(folder)) continue;
    options_.folder = folder;
    const Start started = run();
    EXPECT_FALSE(started.found || started.written) << folder;
    EXPECT_EQ(started.logits, expected);
  }
}

// Entries of other sizes under the right key: nobody but a forger writes such a file.
TEST_F(PackedCacheTest, EntriesOfOtherSizesAreRemoved) {
  const Logits expected = run().logits;
  const fs::path path = files()[0];
  std::string key;
  damage([&](std::string& bytes) { key = bytes.data() + 40; });
  ASSERT_EQ(key.substr(0, 14), "packed weights");
  const std::vector<std::byte> bytes(64);
  PackedFileWriter writer(path, key, 0);
  writer.add("model.embed_tokens", bytes);
  writer.finish();
  EXPECT_EQ(run().logits, expected);
  EXPECT_TRUE(files().empty());
  expect_made_anew(expected);
}

// Files outlive the program that wrote them, so their bytes may change only with what their key says: whoever changes
// them counts kIntegerPackingVersion (backend/cpu/integer_layouts.h) up, and then takes over the new digests.
TEST_F(PackedCacheTest, BytesChangeWithTheirVersionOnly) {
  const fs::path model = fs::path(QWEN_SOURCE_DIR) / "tests/data/tiny-models/bf16-tied-sharded";
  ASSERT_EQ(create_backend({})->packing(weight_formats("int8").linear), "cpu panels of 32, version 1");
  for (const auto& [format, digest] : {std::pair{"int8", 0x3b4658c7faaaf24aull}, {"int4", 0x1d538565a7fbf639ull}}) {
    ASSERT_TRUE(start(model, format, options_).written);
    PackedFileHeader header;
    std::ifstream file(files()[0], std::ios::binary);
    ASSERT_TRUE(file.read(reinterpret_cast<char*>(&header), sizeof header));
    EXPECT_EQ(header.table_digest, digest) << format;
    fs::remove(files()[0]);
  }
}

TEST_F(PackedCacheTest, SeveralProcessesMayStartAtOnce) {
  const Logits expected = run("int8").logits;
  fs::remove(files()[0]);
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      bool equal = true;
      options_.access = i % 2 == 0 ? PackedAccess::kCopy : PackedAccess::kMap;
      for (int round = 0; round < 5; ++round) equal &= run("int8").logits == expected;
      ::_exit(equal ? 0 : 1);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(files().size(), 1u);
  EXPECT_TRUE(run("int8").found);
}

}  // namespace
}  // namespace qwen
