#include "commands/demo_model.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "support/scratch_folder.h"

namespace qwen {
namespace {

namespace fs = std::filesystem;

TEST(DemoModel, AFolderThatHoldsAModelIsTaken) {
  const ScratchFolder folder;
  EXPECT_EQ(model_or_demo(folder.path(), false), folder.path());  // whoever loads it says what is missing
  folder.write("config.json", "{}");
  EXPECT_EQ(model_or_demo(folder.path(), true), folder.path());
}

TEST(DemoModel, StandsInForAFolderWithoutOne) {
  const ScratchFolder empty, elsewhere;
  const fs::path before = fs::current_path();
  fs::current_path(elsewhere.path());
  fs::create_directories("models/demo");
  elsewhere.write("models/demo/config.json", "{}");
  const fs::path chosen = model_or_demo(empty.path(), true);
  fs::current_path(before);
  EXPECT_EQ(chosen.filename(), "demo");
  EXPECT_NE(chosen, empty.path());
}

}  // namespace
}  // namespace qwen
