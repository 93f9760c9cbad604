// What --reload sees of changing files.
#include "commands/restart_watch.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "support/scratch_folder.h"

namespace qwen {
namespace {

TEST(RestartWatch, TellsAChangeOnceItIsStill) {
  const ScratchFolder scratch;
  const std::string config = scratch.write("service_config.yaml", "a").string();
  std::filesystem::create_directory(scratch.path() / "model");
  scratch.write("model/config.json", "{}");
  RestartWatch watch([&] { return std::vector<std::string>{config}; }, (scratch.path() / "model").string());
  EXPECT_EQ(watch.look(), std::nullopt);
  scratch.write("service_config.yaml", "ab");
  EXPECT_EQ(watch.look(), std::nullopt) << "perhaps still written";
  EXPECT_EQ(watch.look(), config);
  EXPECT_EQ(watch.look(), std::nullopt) << "told once";
  const std::string weights = scratch.write("model/model.safetensors", "x").string();
  EXPECT_EQ(watch.look(), std::nullopt);
  EXPECT_EQ(watch.look(), weights);
  std::filesystem::remove(weights);
  EXPECT_EQ(watch.look(), std::nullopt);
  EXPECT_EQ(watch.look(), weights);
  std::filesystem::remove_all(scratch.path() / "model");
  watch.look();
  EXPECT_NE(watch.look(), std::nullopt);
}

}  // namespace
}  // namespace qwen
