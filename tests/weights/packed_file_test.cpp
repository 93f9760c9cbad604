// What was written is read back, whole or not at all; whatever happens to the file, no wrong byte is handed out.
#include "weights/packed_file.h"

#include <grp.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
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
constexpr PackedSource kSource{11, 12};

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
    for (const auto& [name, bytes] : entries_) writer.add(name, bytes, name + "'s");
    writer.finish(kSource);
    ASSERT_EQ(writer.problem(), "");
  }
  std::optional<PackedFile> open(const ProgressFn& progress = {}) {
    options_.access = GetParam();
    const auto same = [this](const PackedSource& source) {
      asked_ = source;
      return same_source_;
    };
    return PackedFile::open(path_, kKey, same, options_, progress, problem_);
  }
  void put(std::string_view bytes) {
    scratch_.write("weights.packed", bytes);
    ASSERT_EQ(::chmod(path_.c_str(), 0644), 0);  // whatever the umask is
  }

  ScratchFolder scratch_;
  const fs::path path_ = scratch_.path() / "weights.packed";
  const fs::path partial_ = scratch_.path() / "weights.packed.partial";
  std::map<std::string, std::vector<std::byte>> entries_ = {
      {"one", noise(100, 1)}, {"three", noise(3 * kPackedPiece + 5, 3)}, {"two", noise(8192, 2)}};
  PackedReadOptions options_;
  bool same_source_ = true;
  PackedSource asked_;
  std::string problem_;
};

TEST_P(PackedFileTest, ReadsBackWhatWasWritten) {
  write();
  uint64_t last = 0, total = 0;
  options_.threads = 3;
  const auto file = open([&](uint64_t done, uint64_t of) { last = done, total = of; });
  ASSERT_TRUE(file) << problem_;
  EXPECT_EQ(asked_.stamp, kSource.stamp);
  EXPECT_EQ(asked_.digest, kSource.digest);
  EXPECT_EQ(file->size_bytes(), fs::file_size(path_));
  for (const auto& [name, bytes] : entries_) {
    const PackedFile::Entry* const found = file->find(name);
    ASSERT_NE(found, nullptr) << name;
    EXPECT_TRUE(std::ranges::equal(found->bytes, bytes)) << name;
    EXPECT_EQ(found->note, name + "'s");
    EXPECT_EQ(reinterpret_cast<uintptr_t>(found->bytes.data()) % kPackedAlignment, 0u);
  }
  EXPECT_EQ(file->find("four"), nullptr);
  EXPECT_EQ(last, total);
  EXPECT_EQ(total, 100 + 3 * kPackedPiece + 5 + 8192);
}

TEST_P(PackedFileTest, SmallFilesAreAlignedToo) {
  entries_ = {{"one", noise(100, 1)}, {"two", noise(4097, 2)}};
  write();
  const auto file = open();
  ASSERT_TRUE(file) << problem_;
  for (const auto& [name, bytes] : entries_) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(file->find(name)->bytes.data()) % kPackedAlignment, 0u);
    EXPECT_TRUE(std::ranges::equal(file->find(name)->bytes, bytes)) << name;
  }
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
  EXPECT_EQ(problem_, "was made in another format or version, or for another config.json");
  write();
  options_.max_bytes = fs::file_size(path_) - 1;
  EXPECT_FALSE(open());
  EXPECT_NE(problem_.find("more than such weights take"), std::string::npos);
  options_.max_bytes = fs::file_size(path_);
  same_source_ = false;
  EXPECT_FALSE(open());
  EXPECT_EQ(problem_, "was made from other weights");
  same_source_ = true;
  EXPECT_TRUE(open());
  std::string bytes = slurp(path_);
  ++bytes[offsetof(PackedFileHeader, version)];
  put(bytes);
  EXPECT_FALSE(open());
  EXPECT_EQ(problem_, "is of version " + std::to_string(kPackedFileVersion + 1));
}

// Whoever may write the file could make its digests fit.
TEST_P(PackedFileTest, RefusesWhatOthersCouldHaveWritten) {
  write();
  for (const mode_t mode : {0664u, 0646u, 0666u}) {
    ASSERT_EQ(::chmod(path_.c_str(), mode), 0);
    EXPECT_FALSE(open());
    EXPECT_NE(problem_.find("chmod go-w"), std::string::npos) << problem_;
  }
  ASSERT_EQ(::chmod(path_.c_str(), 0644), 0);
  EXPECT_TRUE(open());
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to give the file to somebody else";
  ASSERT_EQ(::chown(path_.c_str(), 12345, 0), 0);
  EXPECT_FALSE(open());
  EXPECT_NE(problem_.find("belongs to user 12345"), std::string::npos) << problem_;
  options_.weights_owner = 12345;
  EXPECT_TRUE(open()) << problem_;
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
      for (const auto& [name, expected] : entries_)
        EXPECT_TRUE(std::ranges::equal(file->find(name)->bytes, expected)) << i;
    }
    bytes[i] = static_cast<char>(bytes[i] ^ (1 << i % 8));
  }
  const size_t table = 2 * sizeof(PackedEntryHead) + 6 + 10 + 2 * sizeof(uint64_t);
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
    forge(field(offsetof(PackedEntryHead, name_bytes), value << 32 | 3 | uint64_t{1} << 62));
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
  EXPECT_THROW(open([](uint64_t, uint64_t) { throw Stopped{}; }), Stopped);
}

TEST_P(PackedFileTest, AReaderKeepsItsBytesWhenTheFileIsReplaced) {
  write();
  const auto before = open();
  ASSERT_TRUE(before);
  const auto old_bytes = entries_["two"];
  entries_["two"] = noise(8192, 22);
  write();
  EXPECT_TRUE(std::ranges::equal(before->find("two")->bytes, old_bytes));
  EXPECT_TRUE(std::ranges::equal(open()->find("two")->bytes, entries_["two"]));
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
    second.finish(kSource);
  }
  for (const auto& [name, bytes] : entries_) first.add(name, bytes);
  first.finish(kSource);
  EXPECT_EQ(first.problem(), "");
  EXPECT_TRUE(open()) << problem_;
  EXPECT_FALSE(PackedFileWriter(path_, kKey, 0).other_process());
}

TEST_P(PackedFileWriterTest, TakesOverWhatAKilledProcessLeft) {
  scratch_.write("weights.packed.partial", std::string(10'000'000, 'x'));
  ASSERT_EQ(::chmod(partial_.c_str(), 0644), 0);
  {
    const PackedFileWriter writer(path_, kKey, 0);
    EXPECT_EQ(fs::status(partial_).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  }
  scratch_.write("weights.packed.partial", std::string(10'000'000, 'x'));
  write();
  EXPECT_TRUE(open()) << problem_;
  EXPECT_FALSE(fs::exists(partial_));
}

// Links to a file that another could change later, or that this process must not change.
TEST_P(PackedFileWriterTest, NeverWritesThroughALink) {
  const fs::path victim = scratch_.write("victim", "precious");
  for (const bool hard : {false, true}) {
    hard ? fs::create_hard_link(victim, partial_) : fs::create_symlink(victim, partial_);
    write();
    EXPECT_TRUE(open()) << problem_;
    EXPECT_FALSE(fs::is_symlink(path_));
    EXPECT_EQ(fs::hard_link_count(path_), 1u);
    EXPECT_EQ(slurp(victim), "precious");
    EXPECT_FALSE(fs::exists(fs::symlink_status(partial_)));
    fs::remove(path_);
  }
}

TEST_P(PackedFileWriterTest, WhatIsNoFileUnderThePartialNameIsNamed) {
  fs::create_directory(partial_);
  PackedFileWriter writer(path_, kKey, 0);
  EXPECT_NE(writer.problem().find("; remove " + partial_.string()), std::string::npos) << writer.problem();
  fs::remove(partial_);
  ASSERT_EQ(::mkfifo(partial_.c_str(), 0666), 0);
  write();
  EXPECT_TRUE(open()) << problem_;
}

// As after a start by another user: what it left is no obstacle, and becomes no file of ours.
TEST_P(PackedFileWriterTest, AnotherUsersPartialFileIsReplaced) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to give a file to somebody else";
  scratch_.write("weights.packed.partial", "x");
  ASSERT_EQ(::chown(partial_.c_str(), 12345, 12345), 0);
  write();
  struct stat info {};
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 0u);
  EXPECT_TRUE(open()) << problem_;
}

// In a folder that anyone may write to, an unprivileged process meets what it may neither open nor remove.
TEST_P(PackedFileWriterTest, APartialFileThatCannotBeRemovedIsNamed) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to become somebody else";
  scratch_.write("weights.packed.partial", "x");
  ASSERT_EQ(::chmod(partial_.c_str(), 0600), 0);
  ASSERT_EQ(::chmod(scratch_.path().c_str(), 01777), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (::seteuid(12345) != 0) ::_exit(2);
    const PackedFileWriter writer(path_, kKey, 0);
    ::_exit(writer.problem().ends_with("; remove " + partial_.string()) ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_P(PackedFileWriterTest, NobodyElseReadsItBeforeItIsWholeNorMoreThanTheWeights) {
  const mode_t umask_before = ::umask(0);
  const auto mode = [](const fs::path& path) { return static_cast<unsigned>(fs::status(path).permissions()); };
  for (const unsigned wanted : {0600u, 0640u, 0644u, 0604u}) {
    PackedFileWriter writer(path_, kKey, 0, {wanted, ::getegid()});
    EXPECT_EQ(mode(partial_), 0600u);
    writer.add("two", entries_["two"]);
    writer.finish(kSource);
    EXPECT_EQ(mode(path_), wanted);
  }
  { PackedFileWriter(path_, kKey, 0, {07777, ::getegid()}).finish(kSource); }
  EXPECT_EQ(mode(path_), 0644u);
  ::umask(umask_before);
}

TEST_P(PackedFileWriterTest, AGroupThatCannotBeGivenReadsNothing) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to become somebody else";
  ASSERT_EQ(::chmod(scratch_.path().c_str(), 0777), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (::setgroups(0, nullptr) != 0 || ::setegid(12345) != 0 || ::seteuid(12345) != 0) ::_exit(2);
    PackedFileWriter(path_, kKey, 0, {0640, 54321}).finish(kSource);
    struct stat info {};
    ::_exit(::stat(path_.c_str(), &info) == 0 && (info.st_mode & 0777) == 0600 ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

// Its partial file has been taken away: what has the name now is another's.
TEST_P(PackedFileWriterTest, OnlyItsOwnFileGetsTheName) {
  PackedFileWriter writer(path_, kKey, 0);
  fs::remove(partial_);
  scratch_.write("weights.packed.partial", "another's");
  writer.finish(kSource);
  EXPECT_NE(writer.problem(), "");
  EXPECT_FALSE(fs::exists(path_));
  EXPECT_EQ(slurp(partial_), "another's");
}

TEST_P(PackedFileWriterTest, AFolderThatCannotBeWrittenIsAProblemAndNoMore) {
  for (const fs::path& path : {scratch_.path() / "no/such/folder/weights", fs::path("/proc/weights")}) {
    PackedFileWriter writer(path, kKey, 0);
    EXPECT_NE(writer.problem().find("cannot be created: "), std::string::npos) << writer.problem();
    EXPECT_FALSE(writer.other_process());
    writer.add("two", entries_["two"]);
    writer.finish(kSource);
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
    writer.finish(kSource);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    EXPECT_NE(writer.problem().find("cannot be written: File too large"), std::string::npos) << writer.problem();
    EXPECT_TRUE(fs::is_empty(scratch_.path()));
  }
}

}  // namespace
}  // namespace qwen
