// Where packed weights may lie: beside the model, in the service's or the user's cache, never in memory.
#include "weights/packed_file_places.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <map>

#include "support/scratch_folder.h"

namespace qwen {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

class PackedFilePlaces : public testing::Test {
 protected:
  PackedFilePlaces() { fs::create_directories(model_); }

  std::vector<std::string> places(const std::string& folder = "") {
    std::vector<std::string> texts;
    for (const fs::path& place : packed_file_places(model_, "int4", folder, [this](const char* name) -> const char* {
           const auto it = environment_.find(name);
           return it == environment_.end() ? nullptr : it->second.c_str();
         }))
      texts.push_back(place.string());
    return texts;
  }
  std::string shared_name() { return fs::path(places("/x").at(0)).filename().string(); }

  ScratchFolder scratch_;
  fs::path root_ = fs::canonical(scratch_.path());
  fs::path model_ = root_ / "models" / "Qwen3-4B";
  std::map<std::string, std::string> environment_;
};

TEST_F(PackedFilePlaces, BesideTheModelFirst) {
  environment_ = {{"HOME", "/home/me"}, {"CACHE_DIRECTORY", "/var/cache/one:/var/cache/two"}};
  EXPECT_THAT(places(), ElementsAre((root_ / "models/Qwen3-4B.int4.packed").string(), "/var/cache/one/" + shared_name(),
                                    "/home/me/.cache/qwen-thinking/" + shared_name()));
  environment_ = {{"HOME", "/home/me"}, {"XDG_CACHE_HOME", "/cache"}};
  EXPECT_THAT(places(), ElementsAre(testing::_, "/cache/qwen-thinking/" + shared_name()));
  environment_ = {{"XDG_CACHE_HOME", "relative"}, {"HOME", ""}};
  EXPECT_EQ(places().size(), 1u);
}

TEST_F(PackedFilePlaces, ANamedFolderIsTheOnlyOne) {
  environment_ = {{"HOME", "/home/me"}};
  EXPECT_THAT(places("/data"), ElementsAre(testing::MatchesRegex("/data/Qwen3-4B-[0-9a-f]{8}.int4.packed")));
}

TEST_F(PackedFilePlaces, OneNameForOneFolderHoweverItIsSpelled) {
  const auto expected = places();
  const std::string shared = shared_name();
  fs::create_symlink(model_, root_ / "current");
  for (const fs::path& spelled : {model_ / "", model_ / ".." / "Qwen3-4B", root_ / "current"}) {
    model_ = spelled;
    EXPECT_EQ(places(), expected) << spelled;
    EXPECT_EQ(shared_name(), shared);
  }
  fs::create_directories(root_ / "others/Qwen3-4B");
  model_ = root_ / "others/Qwen3-4B";
  EXPECT_NE(shared_name(), shared);
}

TEST_F(PackedFilePlaces, NotInAHuggingFaceCacheNorWhereAnyoneMayWrite) {
  fs::create_directories(root_ / "models--Qwen--Qwen3-4B/snapshots/abc");
  model_ = root_ / "models--Qwen--Qwen3-4B/snapshots/abc";
  EXPECT_TRUE(places().empty());
  model_ = root_ / "models/Qwen3-4B";
  EXPECT_EQ(places().size(), 1u);
  for (const mode_t mode : {01777u, 0777u, 0757u}) {
    ASSERT_EQ(::chmod((root_ / "models").c_str(), mode), 0);
    EXPECT_TRUE(places().empty());
  }
}

// A model mounted into a container: what lies around it is the container's own.
TEST_F(PackedFilePlaces, NotOnAnotherFileSystemThanTheModels) {
  model_ = "/proc";
  EXPECT_TRUE(places().empty());
  environment_ = {{"CACHE_DIRECTORY", "/var/cache/one"}};
  EXPECT_THAT(places(), ElementsAre("/var/cache/one/" + shared_name()));
}

TEST_F(PackedFilePlaces, MemoryFileSystemsAreTold) {
  EXPECT_FALSE(on_memory_file_system("/proc/self"));
  std::string type, folder, device, rest;
  for (std::ifstream file("/proc/mounts"); file >> device >> folder >> type && std::getline(file, rest);) {
    if (type != "tmpfs" || folder != "/dev/shm") continue;
    EXPECT_TRUE(on_memory_file_system(folder));
    EXPECT_TRUE(on_memory_file_system(folder + "/not/there/yet"));
  }
}

}  // namespace
}  // namespace qwen
