#include "base/mapped_file.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <csignal>
#include <filesystem>

#include "support/expect_error.h"
#include "support/scratch_folder.h"

namespace qwen {
namespace {

char first_byte(const MappedFile& file) {
  return static_cast<char>(*static_cast<const volatile std::byte*>(file.bytes().data()));
}

TEST(MappedFileDeathTest, AFileThatIsCutWhileItIsReadIsNamed) {
  const ScratchFolder folder;
  const auto path = folder.write("model.safetensors", std::string(65536, 'x'));
  const auto other = folder.write("other", std::string(65536, 'y'));
  const MappedFile unharmed(other);
  const MappedFile file(path);
  EXPECT_EQ(first_byte(file), 'x');
  std::filesystem::resize_file(path, 0);
  EXPECT_EXIT(first_byte(file), testing::ExitedWithCode(65),
              "qwen-thinking: .*model.safetensors: was cut short .*copy it again");
  EXPECT_EQ(first_byte(unharmed), 'y');
}

// The mend is that of whoever maps; the file is the one that was opened, whatever has its name by now.
TEST(MappedFileDeathTest, AnOpenFileIsMappedWithItsOwnMend) {
  const ScratchFolder folder;
  const auto path = folder.write("weights.packed", std::string(65536, 'x'));
  const FileDescriptor open = FileDescriptor::open(path);
  std::filesystem::rename(path, folder.path() / "old");
  folder.write("weights.packed", std::string(65536, 'y'));
  const auto file = MappedFile::map(open, path, "delete it");
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(first_byte(*file), 'x');
  std::filesystem::resize_file(folder.path() / "old", 0);
  EXPECT_EXIT(first_byte(*file), testing::ExitedWithCode(65), "weights.packed: was cut short .*; delete it\n");
}

TEST(MappedFile, WhatCannotBeMappedIsNothing) {
  const ScratchFolder folder;
  EXPECT_FALSE(FileDescriptor::open(folder.path() / "nothing").valid());
  EXPECT_EQ(MappedFile::map(FileDescriptor::open(folder.path()), folder.path(), ""), nullptr);
  EXPECT_EQ(MappedFile::map(FileDescriptor(), folder.path(), ""), nullptr);
}

TEST(MappedFileDeathTest, AnotherBusErrorIsNotOurs) {
  const ScratchFolder folder;
  { const MappedFile gone(folder.write("gone", "x")); }
  const MappedFile file(folder.write("model.safetensors", "x"));
  EXPECT_EXIT(
      std::raise(SIGBUS), [](int status) { return !WIFEXITED(status) || WEXITSTATUS(status) != 65; }, "");
}

TEST(MappedFile, WhatIsNoFileIsNamedWithItsMend) {
  const ScratchFolder folder;
  std::filesystem::create_directory(folder.path() / "model.safetensors");
  const auto map = [&](const char* name) { return [&folder, name] { MappedFile file(folder.path() / name); }; };
  EXPECT_TRUE(fails_with(map("model.safetensors"), ErrorCode::kMissingFile, "put the file itself"));
  EXPECT_TRUE(fails_with(map("nothing"), ErrorCode::kMissingFile, "check the path"));
  folder.write("config.json", "12345");
  EXPECT_TRUE(
      fails_with([&] { read_text_file(folder.path() / "config.json", 4); }, ErrorCode::kBadData, "copy the right"));
  EXPECT_EQ(read_text_file(folder.path() / "config.json", 5), "12345");
}

}  // namespace
}  // namespace qwen
