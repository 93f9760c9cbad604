// What was written is read back, whole or not at all; whatever happens to the file, no wrong byte is handed out.
#include "weights/packed_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <random>
#include <sstream>

#include "base/hash.h"
#include "support/scratch_folder.h"
#include "weights/packed_file_layout.h"
#include "weights/packed_file_writer.h"

namespace qwen {
namespace {

namespace fs = std::filesystem;

constexpr const char* kKey = "a model, a format, a version";
constexpr uint64_t kNoLimit = uint64_t{1} << 40;

std::vector<std::byte> noise(size_t bytes, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<std::byte> result(bytes);
  for (std::byte& byte : result) byte = static_cast<std::byte>(random());
  return result;
}

std::string slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

class PackedFileTest : public testing::TestWithParam<PackedAccess> {
 protected:
  void write(const std::string& key = kKey) {
    PackedFileWriter writer(path_, key, 1 << 20);
    for (const auto& [name, bytes] : entries_) writer.add(name, bytes);
    writer.finish();
    ASSERT_EQ(writer.problem(), "");
  }
  std::optional<PackedFile> open(uint64_t max_bytes = kNoLimit) {
    return PackedFile::open(path_, kKey, GetParam(), max_bytes, {}, problem_);
  }
  void put(std::string_view bytes) { scratch_.write("weights.packed", bytes); }

  ScratchFolder scratch_;
  const fs::path path_ = scratch_.path() / "weights.packed";
  const fs::path partial_ = scratch_.path() / "weights.packed.partial";
  std::map<std::string, std::vector<std::byte>> entries_ = {
      {"one", noise(100, 1)}, {"three", noise(3 * kPackedPiece + 5, 3)}, {"two", noise(8192, 2)}};
  std::string problem_;
};

TEST_P(PackedFileTest, ReadsBackWhatWasWritten) {
  write();
  uint64_t last = 0, total = 0;
  const auto file = PackedFile::open(
      path_, kKey, GetParam(), kNoLimit, [&](uint64_t done, uint64_t of) { last = done, total = of; }, problem_);
  ASSERT_TRUE(file) << problem_;
  EXPECT_EQ(file->size_bytes(), fs::file_size(path_));
  for (const auto& [name, bytes] : entries_) {
    const auto found = file->find(name);
    EXPECT_TRUE(std::ranges::equal(found, bytes)) << name;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(found.data()) % kPackedAlignment, 0u);
  }
  EXPECT_TRUE(file->find("four").empty());
  EXPECT_EQ(last, total);
  EXPECT_EQ(total, 100 + 3 * kPackedPiece + 5 + 8192);
}

TEST_P(PackedFileTest, AnAbsentFileIsNoProblem) {
  EXPECT_FALSE(open());
  EXPECT_EQ(problem_, "");
}

TEST_P(PackedFileTest, RefusesWhatIsNoFileOfItsKind) {
  for (const std::string& bytes : {std::string(), std::string("QWENPACK"), std::string(100'000, 'x')}) {
    put(bytes);
    EXPECT_FALSE(open());
    EXPECT_EQ(problem_, "holds no packed weights");
  }
  fs::remove(path_);
  fs::create_directory(path_);
  EXPECT_FALSE(open());
  EXPECT_EQ(problem_, "is not a regular file");
}

TEST_P(PackedFileTest, RefusesAnotherKeyVersionOrSize) {
  write("another model");
  EXPECT_FALSE(open());
  EXPECT_EQ(problem_, "was made from another model, format or version");
  write();
  EXPECT_FALSE(open(fs::file_size(path_) - 1));
  EXPECT_NE(problem_.find("more than such weights take"), std::string::npos);
  std::string bytes = slurp(path_);
  ++bytes[offsetof(PackedFileHeader, version)];
  put(bytes);
  EXPECT_FALSE(open());
  EXPECT_EQ(problem_, "is of version 2");
}

TEST_P(PackedFileTest, RefusesATruncatedFile) {
  write();
  const std::string whole = slurp(path_);
  std::mt19937 random(7);
  std::vector<size_t> lengths = {0, 1, 4095, 4096, 4097, whole.size() - 1};
  for (int i = 0; i < 40; ++i) lengths.push_back(random() % whole.size());
  for (const size_t length : lengths) {
    put(std::string_view(whole).substr(0, length));
    EXPECT_FALSE(open()) << length;
    EXPECT_NE(problem_, "") << length;
  }
  put(whole + "x");
  EXPECT_FALSE(open());
}

TEST_P(PackedFileTest, RefusesEveryFlippedByteThatMatters) {
  entries_ = {{"one", noise(100, 1)}, {"two", noise(4097, 2)}};
  write();
  std::string bytes = slurp(path_);
  int refused = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<char>(bytes[i] ^ (1 << i % 8));
    put(bytes);
    const auto file = open();
    refused += !file;
    if (file) {  // between two entries
      for (const auto& [name, expected] : entries_) EXPECT_TRUE(std::ranges::equal(file->find(name), expected)) << i;
    }
    bytes[i] = static_cast<char>(bytes[i] ^ (1 << i % 8));
  }
  const size_t table = 2 * sizeof(PackedEntryHead) + 6 + 2 * sizeof(uint64_t);
  EXPECT_EQ(refused, int(sizeof(PackedFileHeader) + 100 + 4097 + table));
}

// The digests are right, the numbers are not: as somebody would write it who means harm.
TEST_P(PackedFileTest, RefusesOffsetsAndSizesThatLieOutside) {
  write();
  const std::string whole = slurp(path_);
  PackedFileHeader header;
  std::memcpy(&header, whole.data(), sizeof header);
  const auto forge = [&](const std::function<void(PackedFileHeader&, std::string & table)>& change) {
    PackedFileHeader forged = header;
    std::string data = whole.substr(0, header.data_end), table = whole.substr(header.data_end);
    change(forged, table);
    forged.table_digest = xxh64(table);
    std::memcpy(data.data(), &forged, sizeof forged);
    forged.digest = xxh64({data.data(), offsetof(PackedFileHeader, digest)});
    std::memcpy(data.data(), &forged, sizeof forged);
    put(data + table);
    EXPECT_FALSE(open());
    EXPECT_NE(problem_, "");
  };
  const auto field = [](size_t at, uint64_t value) {
    return [=](PackedFileHeader&, std::string& table) { std::memcpy(table.data() + at, &value, sizeof value); };
  };
  for (const uint64_t value :
       {uint64_t{0}, uint64_t{1}, uint64_t{4097}, header.data_end, uint64_t{1} << 63, ~uint64_t{0}, ~uint64_t{4095}}) {
    forge(field(offsetof(PackedEntryHead, offset), value));
    forge(field(offsetof(PackedEntryHead, size_bytes), value));
    forge(field(offsetof(PackedEntryHead, name_bytes), value | 0x10000));
    if (value != header.data_end) forge([&](PackedFileHeader& forged, std::string&) { forged.data_end = value; });
    forge([&](PackedFileHeader& forged, std::string&) { forged.table_bytes = value; });
  }
  for (const uint32_t count : {0u, 1u, 2u, 4u, 70'000u, ~0u})
    forge([&](PackedFileHeader& forged, std::string&) { forged.num_entries = count; });
  forge([](PackedFileHeader&, std::string& table) { table.pop_back(); });
  forge([](PackedFileHeader& forged, std::string& table) { forged.table_bytes = (table += "x").size(); });
  forge([](PackedFileHeader& forged, std::string&) { std::memset(forged.key, 'k', sizeof forged.key); });
}

TEST_P(PackedFileTest, WhatProgressThrowsEndsTheReading) {
  write();
  struct Stopped {};
  EXPECT_THROW(PackedFile::open(
                   path_, kKey, GetParam(), kNoLimit, [](uint64_t, uint64_t) { throw Stopped{}; }, problem_),
               Stopped);
}

TEST_P(PackedFileTest, AReaderKeepsItsBytesWhenTheFileIsReplaced) {
  write();
  const auto before = open();
  ASSERT_TRUE(before);
  const auto old_bytes = entries_["two"];
  entries_["two"] = noise(8192, 22);
  write();
  EXPECT_TRUE(std::ranges::equal(before->find("two"), old_bytes));
  EXPECT_TRUE(std::ranges::equal(open()->find("two"), entries_["two"]));
}

INSTANTIATE_TEST_SUITE_P(Access, PackedFileTest, testing::Values(PackedAccess::kCopy, PackedAccess::kMap),
                         [](const auto& value) { return value.param == PackedAccess::kCopy ? "Copy" : "Map"; });

class PackedFileWriterTest : public PackedFileTest {};
INSTANTIATE_TEST_SUITE_P(Access, PackedFileWriterTest, testing::Values(PackedAccess::kCopy),
                         [](const auto&) { return "Copy"; });

TEST_P(PackedFileWriterTest, TheNameAppearsWhenTheFileIsWhole) {
  {
    PackedFileWriter writer(path_, kKey, 1 << 20);
    writer.add("two", entries_["two"]);
    EXPECT_FALSE(fs::exists(path_));
    EXPECT_TRUE(fs::exists(partial_));
    // What lies there now would not be believed either.
    fs::copy_file(partial_, path_);
    EXPECT_FALSE(open());
    fs::remove(path_);
  }
  EXPECT_TRUE(fs::is_empty(scratch_.path()));
  write();
  EXPECT_FALSE(fs::exists(partial_));
  EXPECT_TRUE(open());
}

TEST_P(PackedFileWriterTest, OneOfTwoWrites) {
  PackedFileWriter first(path_, kKey, 0);
  {
    PackedFileWriter second(path_, kKey, 0);
    EXPECT_TRUE(second.other_process());
    second.add("two", entries_["one"]);
    second.finish();
  }
  for (const auto& [name, bytes] : entries_) first.add(name, bytes);
  first.finish();
  EXPECT_EQ(first.problem(), "");
  EXPECT_TRUE(open()) << problem_;
  EXPECT_FALSE(PackedFileWriter(path_, kKey, 0).other_process());
}

TEST_P(PackedFileWriterTest, TakesOverWhatAKilledProcessLeft) {
  scratch_.write("weights.packed.partial", std::string(10'000'000, 'x'));
  write();
  EXPECT_TRUE(open()) << problem_;
  EXPECT_FALSE(fs::exists(partial_));
}

TEST_P(PackedFileWriterTest, NeverFollowsALink) {
  const fs::path victim = scratch_.write("victim", "precious");
  fs::create_symlink(victim, partial_);
  PackedFileWriter writer(path_, kKey, 0);
  EXPECT_NE(writer.problem(), "");
  EXPECT_EQ(slurp(victim), "precious");
}

TEST_P(PackedFileWriterTest, AFolderThatCannotBeWrittenIsAProblemAndNoMore) {
  for (const fs::path& path : {scratch_.path() / "no/such/folder/weights", fs::path("/proc/weights")}) {
    PackedFileWriter writer(path, kKey, 0);
    EXPECT_NE(writer.problem().find("cannot be created: "), std::string::npos) << writer.problem();
    EXPECT_FALSE(writer.other_process());
    writer.add("two", entries_["two"]);
    writer.finish();
    EXPECT_FALSE(fs::exists(path));
  }
}

// A full disk, in small: the limit on file sizes answers in the same places. At the start where the size is known,
// else in the middle.
TEST_P(PackedFileWriterTest, AFullDiskLeavesNothingBehind) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{2 << 20, before.rlim_max};
  for (const uint64_t expected : {uint64_t{0}, uint64_t{8} << 20}) {
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    PackedFileWriter writer(path_, kKey, expected);
    EXPECT_EQ(writer.problem().empty(), expected == 0);
    for (const auto& [name, bytes] : entries_) writer.add(name, bytes);
    writer.finish();
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    EXPECT_NE(writer.problem().find("cannot be written: File too large"), std::string::npos) << writer.problem();
    EXPECT_TRUE(fs::is_empty(scratch_.path()));
  }
}

}  // namespace
}  // namespace qwen
