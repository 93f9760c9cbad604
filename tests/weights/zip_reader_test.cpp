// Archives as torch.save writes them are mapped; a directory that lies is refused whatever byte is wrong.
#include "weights/zip_reader.h"

#include <gtest/gtest.h>

#include "support/expect_error.h"
#include "support/torch_file.h"

namespace qwen {
namespace {

ZipDirectory read(const std::string& file) { return {std::as_bytes(std::span(file)), "dir/pytorch_model.bin"}; }

ZipBuilder good() { return ZipBuilder().add("a/data.pkl", "pickle").add("a/data/0", "12345678"); }

TEST(ZipReader, FindsStoredEntries) {
  for (const bool zip64 : {false, true}) {
    const std::string file = good().zip64(zip64).build();
    const ZipDirectory zip = read(file);
    ASSERT_EQ(zip.entries().size(), 2u);
    const ZipEntry* entry = zip.find("a/data/0");
    ASSERT_NE(entry, nullptr);
    EXPECT_EQ(file.substr(entry->offset, entry->size), "12345678");
    EXPECT_EQ(zip.find("a/data/1"), nullptr);
  }
}

TEST(ZipReader, FindsTheDirectoryBeforeAComment) {
  std::string file = good().build();
  file.replace(file.size() - 2, 2, little_endian(5, 2));
  EXPECT_EQ(read(file + "hello").entries().size(), 2u);
}

TEST(ZipReader, RefusesWhatItCannotMap) {
  EXPECT_TRUE(fails_with([] { read(good().method(8).build()); }, ErrorCode::kBadData, "compressed"));
  EXPECT_TRUE(fails_with([] { read(good().flags(1).build()); }, ErrorCode::kBadData, "encrypted"));
  EXPECT_TRUE(fails_with([] { read(good().add("a/data/0", "x").build()); }, ErrorCode::kBadData, "twice"));
  EXPECT_TRUE(fails_with([] { read(""); }, ErrorCode::kBadData, "truncated"));
  EXPECT_TRUE(fails_with([] { read(std::string(100, 'P')); }, ErrorCode::kBadData, "truncated"));
}

// Offsets counted from the end of a two-entry archive without ZIP64.
TEST(ZipReader, RefusesADirectoryThatLies) {
  const std::string file = good().build();
  const auto changed = [&](size_t from_end, uint64_t value, int bytes) {
    std::string bad = file;
    return bad.replace(bad.size() - from_end, static_cast<size_t>(bytes), little_endian(value, bytes));
  };
  EXPECT_TRUE(fails_with([&] { read(changed(12, 1000, 2)); }, ErrorCode::kBadData, "1000 entries"));
  EXPECT_TRUE(fails_with([&] { read(changed(10, 0x7fffffff, 4)); }, ErrorCode::kBadData, "outside"));
  EXPECT_TRUE(fails_with([&] { read(changed(6, 0xfffffff0, 4)); }, ErrorCode::kBadData, "outside"));
  EXPECT_TRUE(fails_with([&] { read(changed(6, 0, 4)); }, ErrorCode::kBadData, "corrupt"));
  const size_t second = file.rfind("PK\x01\x02");
  std::string moved = file;
  moved.replace(second + 42, 4, little_endian(0, 4));  // the second entry's local header is the first's
  EXPECT_TRUE(fails_with([&] { read(moved); }, ErrorCode::kBadData, "not where the directory says"));
  std::string longer = file;
  longer.replace(second + 20, 8, little_endian(9, 4) + little_endian(9, 4));
  EXPECT_TRUE(fails_with([&] { read(longer); }, ErrorCode::kBadData, "not where the directory says"));
  const size_t first = file.find("PK\x01\x02");
  std::string overlapping = file;
  overlapping.replace(first + 20, 8, little_endian(30, 4) + little_endian(30, 4));
  EXPECT_TRUE(fails_with([&] { read(overlapping); }, ErrorCode::kBadData, "overlap"));
}

TEST(ZipReader, SurvivesEveryCutAndEveryChangedByte) {
  for (const bool zip64 : {false, true}) {
    const std::string file = good().zip64(zip64).build();
    for (size_t cut = 0; cut < file.size(); ++cut) EXPECT_THROW(read(file.substr(0, cut)), Error) << cut;
    for (size_t at = 0; at < file.size(); ++at) {
      for (const int bit : {0x01, 0x80, 0xff}) {
        std::string bad = file;
        bad[at] = static_cast<char>(bad[at] ^ bit);
        try {
          const ZipDirectory zip = read(bad);
          for (const ZipEntry& entry : zip.entries()) EXPECT_LE(entry.offset + entry.size, bad.size());
        } catch (const Error& error) {
          EXPECT_EQ(error.code(), ErrorCode::kBadData);
        }
      }
    }
  }
}

}  // namespace
}  // namespace qwen
