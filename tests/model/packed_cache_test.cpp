// The second start computes what the first did, to the bit; whatever is wrong with the file, the model starts and the
// file is made anew.
#include "model/packed_cache.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <random>
#include <sstream>
#include <thread>
#include <utility>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/kernel_set.h"
#include "backend/create.h"
#include "base/error.h"
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

// File times advance in ticks of 10 ms at most: what happens later has another.
void next_tick() { std::this_thread::sleep_for(std::chrono::milliseconds(20)); }

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
  for (const char* format : {"int8", "int4", "int4-g64"}) {
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
  EXPECT_EQ(files().size(), 3u);  // one for each format
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
  std::ofstream(config, std::ios::app) << "\n";
  EXPECT_FALSE(run().found);
  EXPECT_TRUE(run().found);
  // Other numbers at the same size and time, as in an image that gives every file one time.
  const auto time = fs::last_write_time(weights);
  next_tick();
  const TinyCheckpoint other({.tie_word_embeddings = false, .attention_bias = true, .dtype = DType::kBF16, .seed = 2});
  fs::copy_file(other.folder() / "model.safetensors", weights, fs::copy_options::overwrite_existing);
  fs::last_write_time(weights, time);
  const Start changed = run();
  EXPECT_FALSE(changed.found);
  EXPECT_EQ(changed.logits, start(other.folder(), "int4", {.enabled = false}).logits);
}

// The smallest change there is, at any place, with the time put back.
TEST_F(PackedCacheTest, OneOtherNumberIsSeen) {
  const fs::path weights = model_.folder() / "model.safetensors";
  const auto time = fs::last_write_time(weights);
  const auto size = static_cast<std::streamoff>(fs::file_size(weights));
  run();
  for (const std::streamoff place : {size - 1, size / 2, size / 3, size / 7 * 6}) {
    next_tick();
    std::fstream file(weights, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(place);
    const int byte = file.get();
    file.seekp(place);
    file.put(static_cast<char>(byte ^ 1));
    file.close();
    fs::last_write_time(weights, time);
    EXPECT_FALSE(run().found) << place;
    EXPECT_TRUE(run().found) << place;
  }
}

// A chmod, a restored backup, an image unpacked again: other times, the same numbers.
TEST_F(PackedCacheTest, TheSameWeightsAtOtherTimesAreFound) {
  const Logits expected = run().logits;
  const fs::path weights = model_.folder() / "model.safetensors", copy = model_.folder() / "copy";
  fs::last_write_time(weights, fs::last_write_time(weights) + std::chrono::seconds(1));
  const Start touched = run();
  EXPECT_TRUE(touched.found);
  EXPECT_EQ(touched.logits, expected);
  fs::copy_file(weights, copy);
  fs::rename(copy, weights);
  EXPECT_TRUE(run().found);
}

TEST_F(PackedCacheTest, NobodyReadsItWhoMayNotReadTheWeights) {
  const fs::path weights = model_.folder() / "model.safetensors";
  for (const fs::path& folder : {folder_.path() / "made", folder_.path() / "made/here"}) {
    options_.folder = folder.string();
    ASSERT_EQ(::chmod(weights.c_str(), 0600), 0);
    ASSERT_TRUE(run().written);
    EXPECT_EQ(fs::status(folder).permissions(), fs::perms::owner_all);
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (!entry.is_regular_file()) continue;
      EXPECT_EQ(entry.status().permissions(), fs::perms::owner_read | fs::perms::owner_write);
    }
  }
}

// The scratch folder of a test is this user's alone, the weights in it are everybody's.
TEST_F(PackedCacheTest, FoldersAroundTheWeightsCountToo) {
  const fs::path weights = model_.folder() / "model.safetensors";
  ASSERT_EQ(::chmod(weights.c_str(), 0644), 0);
  ASSERT_EQ(::chmod(model_.folder().c_str(), 0700), 0);
  ASSERT_TRUE(run().written);
  EXPECT_EQ(static_cast<unsigned>(fs::status(files()[0]).permissions()), 0600u);
}

TEST_F(PackedCacheTest, MappedPagesNeedNoMemory) {
  run();
  const ModelConfig config = ModelConfig::load(model_.folder());
  const Checkpoint checkpoint = Checkpoint::open(model_.folder());
  const ModelOptions model_options{32, 32, 64, weight_formats("int4")};
  // Just enough for what lies in no file.
  class Full : public CpuBackend {
   public:
    explicit Full(size_t free) : CpuBackend(choose_kernel_set("auto"), 1), free_(free) {}
    size_t free_memory() const override { return free_; }

   private:
    size_t free_;
  };
  const ModelMemory needed = model_memory(checkpoint, config, Full(0), model_options);
  const auto load = [&](PackedAccess access) {
    options_.access = access;
    auto backend = std::make_unique<Full>(needed.workspace + needed.weights / 4);
    PackedCache cache(checkpoint, config.quantization, model_options.formats, *backend, options_);
    load_model(checkpoint, config, std::move(backend), model_options, {}, &cache);
    return cache.found();
  };
  EXPECT_TRUE(load(PackedAccess::kMap));
  EXPECT_THROW(load(PackedAccess::kCopy), Error);
  fs::remove(files()[0]);
  EXPECT_THROW(load(PackedAccess::kMap), Error);
  EXPECT_TRUE(files().empty());
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
  damage([&](std::string& bytes) { key = bytes.data() + offsetof(PackedFileHeader, key); });
  ASSERT_EQ(key.substr(0, 14), "packed weights");
  const std::vector<std::byte> bytes(64);
  PackedFileWriter writer(path, key, 0);
  writer.add("model.embed_tokens", bytes);
  writer.finish({Checkpoint::open(model_.folder()).stamp(), 0});
  EXPECT_EQ(run().logits, expected);
  EXPECT_TRUE(files().empty());
  expect_made_anew(expected);
}

// Files outlive the program that wrote them, so their bytes may change only with what their key says: whoever changes
// them counts kIntegerPackingVersion (backend/cpu/integer_layouts.h) up, and then takes over the new digests.
TEST_F(PackedCacheTest, BytesChangeWithTheirVersionOnly) {
  const fs::path model = fs::path(QWEN_SOURCE_DIR) / "tests/data/tiny-models/bf16-tied-sharded";
  ASSERT_EQ(create_backend({})->packing(weight_formats("int8").linear), "cpu panels of 32, version 1");
  for (const auto& [format, digest] : {std::pair{"int8", 0x3b4658c7faaaf24aull},
                                       {"int4", 0x1d538565a7fbf639ull},
                                       {"int4-g64", 0xd3ecf111e1954934ull}}) {
    ASSERT_TRUE(start(model, format, options_).written);
    PackedFileHeader header;
    std::ifstream file(files()[0], std::ios::binary);
    ASSERT_TRUE(file.read(reinterpret_cast<char*>(&header), sizeof header));
    EXPECT_EQ(header.table_digest, digest) << format;
    fs::remove(files()[0]);
  }
}

// Whoever is not asked has not read their zero points and group indices.
TEST_F(PackedCacheTest, WhatIsFoundIsNotLookedUpInTheCheckpoint) {
  class Asked : public CpuBackend {
   public:
    explicit Asked(int& stacks) : CpuBackend(choose_kernel_set("auto"), 1), stacks_(stacks) {}
    QuantFormat prepared_format(std::span<const HostMatrix> stacked, const QuantFormat& asked) const override {
      if (stacked[0].format.kind != QuantFormat::Kind::kNone) ++stacks_;
      return CpuBackend::prepared_format(stacked, asked);
    }

   private:
    int& stacks_;
  };
  for (const char* model : {"gptq-int4-g64-asym", "gptq-int4-g128-sym-desc_act", "awq-int4-g128"}) {
    const fs::path folder = fs::path(QWEN_SHARED_DATA) / "golden/tiny-models" / model;
    if (!fs::exists(folder)) GTEST_SKIP() << "no golden model " << model << " in " << QWEN_SHARED_DATA;
    const ModelConfig config = ModelConfig::load(folder);
    const Checkpoint checkpoint = Checkpoint::open(folder);
    const ModelOptions model_options{32, 32, 64, weight_formats("int8")};
    const auto stacks_asked_for = [&](const PackedCacheOptions& options) {
      int stacks = 0;
      auto backend = std::make_unique<Asked>(stacks);
      PackedCache cache(checkpoint, config.quantization, model_options.formats, *backend, options);
      load_model(checkpoint, config, std::move(backend), model_options, {}, &cache);
      return stacks;
    };
    EXPECT_GE(stacks_asked_for(options_), 4 * config.num_hidden_layers) << model;
    EXPECT_EQ(stacks_asked_for(options_), 0) << model;
  }
}

// A note that no backend has written, under digests that fit: nobody but a forger writes such a file.
TEST_F(PackedCacheTest, ForgedNotesAreRemoved) {
  const fs::path model = fs::path(QWEN_SHARED_DATA) / "golden/tiny-models/gptq-int4-g64-asym";
  if (!fs::exists(model)) GTEST_SKIP() << "no golden model in " << QWEN_SHARED_DATA;
  const Logits expected = start(model, "int8", options_).logits;
  const fs::path path = files()[0];
  std::string key;
  damage([&](std::string& bytes) { key = bytes.data() + offsetof(PackedFileHeader, key); });
  const std::string attention = "model.layers.0.self_attn.";
  const std::string stack = attention + "q_proj+" + attention + "k_proj+" + attention + "v_proj";
  std::vector<std::byte> bytes;  // the entry's own: only the note is wrong
  {
    std::string problem;
    const auto file = PackedFile::open(
        path, key, [](const PackedSource&) { return true; }, {}, {}, problem);
    ASSERT_TRUE(file) << problem;
    ASSERT_NE(file->find(stack), nullptr);
    bytes.assign(file->find(stack)->bytes.begin(), file->find(stack)->bytes.end());
  }
  for (const std::string& note :
       {std::string("?"), std::string(12, '\0'), std::string(12, '\xff'), std::string("\4\0\0\0\7\0\0\0\0\0\0\0", 12),
        std::string("\4\0\0\0\x40\0\0\0\2\0\0\0", 12), std::string("\4\0\0\0\x40\0\0\0\0\0\0\0", 12)}) {
    PackedFileWriter writer(path, key, 0);
    writer.add(stack, bytes, note);
    writer.finish({Checkpoint::open(model).stamp(), 0});
    EXPECT_EQ(start(model, "int8", options_).logits, expected);
    EXPECT_TRUE(files().empty());
  }
}

// One writes; who maps waits for it, who copies may quantize for itself.
TEST_F(PackedCacheTest, SeveralProcessesMayStartAtOnce) {
  constexpr int kWrong = 1, kWritten = 2, kFound = 4;  // bits of a child's exit status
  const Logits expected = run("int8").logits;
  for (int round = 0; round < 5; ++round) {
    fs::remove(files()[0]);
    int ready[2];
    ASSERT_EQ(::pipe(ready), 0);
    std::vector<pid_t> children;
    for (int i = 0; i < 4; ++i) {
      const pid_t child = ::fork();
      ASSERT_GE(child, 0);
      if (child == 0) {
        options_.access = i % 2 == 0 ? PackedAccess::kCopy : PackedAccess::kMap;
        ::close(ready[1]);
        char end;
        while (::read(ready[0], &end, 1) != 0) continue;  // all have been made
        const Start started = run("int8");
        ::_exit((started.logits == expected ? 0 : kWrong) + (started.written ? kWritten : 0) +
                (started.found ? kFound : 0));
      }
      children.push_back(child);
    }
    ::close(ready[0]);
    ::close(ready[1]);
    int written = 0;
    for (size_t i = 0; i < children.size(); ++i) {
      int status = -1;
      ASSERT_EQ(::waitpid(children[i], &status, 0), children[i]);
      ASSERT_TRUE(WIFEXITED(status));
      const int bits = WEXITSTATUS(status);
      EXPECT_EQ(bits & kWrong, 0);
      written += (bits & kWritten) != 0;
      const bool shares = i % 2 == 1;
      EXPECT_TRUE(!shares || (bits & (kWritten | kFound)) != 0) << "quantized what another wrote";
    }
    EXPECT_EQ(written, 1);
    EXPECT_EQ(files().size(), 1u);
    EXPECT_TRUE(run("int8").found);
  }
}

// While another process holds the partial file.
TEST_F(PackedCacheTest, WhoMapsWaitsForTheWriterAndWhoCopiesDoesNot) {
  const Logits expected = run().logits;
  const fs::path place = files()[0];
  const fs::path aside = model_.folder() / "aside";
  fs::rename(place, aside);
  {
    const PackedFileWriter writer(place, "another", 0);
    const Start copied = run();
    EXPECT_FALSE(copied.found || copied.written);
    EXPECT_EQ(copied.logits, expected);
    std::thread later([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      fs::copy_file(aside, place);
    });
    options_.access = PackedAccess::kMap;
    const Start mapped = run();
    later.join();
    EXPECT_TRUE(mapped.found);
    EXPECT_EQ(mapped.logits, expected);
  }
}

std::vector<std::string> warnings(const std::function<void()>& run) {
  testing::internal::CaptureStderr();
  run();
  std::vector<std::string> found;
  std::istringstream lines(testing::internal::GetCapturedStderr());
  for (std::string line; std::getline(lines, line);)
    if (line.find("WARN") != std::string::npos) found.push_back(line);
  return found;
}

// The service's cache holds a damaged file, the user's a good one.
TEST_F(PackedCacheTest, APlaceThatIsNoUseIsToldOnlyWhereNoOtherIs) {
  constexpr uint64_t kBytes = uint64_t{64} << 20;  // as if the model were large
  const fs::path service = folder_.path() / "service", user = folder_.path() / "user";
  const Checkpoint checkpoint = Checkpoint::open(model_.folder());
  const auto backend = create_backend({});
  const auto open = [&](const fs::path& cache_directory) {
    ::setenv("CACHE_DIRECTORY", cache_directory.c_str(), 1);
    ::setenv("XDG_CACHE_HOME", user.c_str(), 1);
    testing::internal::CaptureStderr();
    PackedCache cache(checkpoint, {}, weight_formats("int4"), *backend, {});
    cache.open(4 * kBytes, {});
    if (!cache.found()) {
      cache.begin(kBytes, {});
      cache.finish();
    }
    ::unsetenv("CACHE_DIRECTORY");
    ::unsetenv("XDG_CACHE_HOME");
    return std::pair(cache.found(), testing::internal::GetCapturedStderr());
  };
  EXPECT_FALSE(open({}).first);  // writes the user's
  const fs::path written = fs::directory_iterator(user / "qwen-thinking")->path();
  fs::create_directory(service);
  const fs::path damaged = service / written.filename();
  std::ofstream(damaged) << "damaged";
  const auto [found, said] = open(service);
  EXPECT_TRUE(found);
  EXPECT_EQ(said.find("quantized again"), std::string::npos) << said;
  fs::remove(written);
  const auto [again, told] = open(service);
  EXPECT_FALSE(again);
  EXPECT_NE(told.find("holds no packed weights; the weights are quantized again"), std::string::npos) << told;
}

TEST_F(PackedCacheTest, MappingWhatIsNotKeptIsWarnedOfOnce) {
  options_.access = PackedAccess::kMap;
  EXPECT_TRUE(warnings([&] { run("int4"); }).empty());
  const auto expect = [&](const char* format, const char* reason) {
    const auto found = warnings([&] { run(format); });
    ASSERT_EQ(found.size(), 1u);
    EXPECT_NE(found[0].find(str("--weights mmap changes nothing: ", reason)), std::string::npos) << found[0];
  };
  expect("none", "weights are not quantized");
  options_.folder.clear();
  expect("int4", "below 64 MiB");
  options_.enabled = false;
  expect("int4", "--cache-dir none");
  options_.access = PackedAccess::kCopy;
  EXPECT_TRUE(warnings([&] { run("int4"); }).empty());
}

}  // namespace
}  // namespace qwen
