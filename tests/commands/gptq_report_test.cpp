#include "commands/gptq_report.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace qwen {
namespace {

std::vector<GptqModuleReport> two_layers() {
  std::vector<GptqModuleReport> modules;
  for (int i = 0; i < 14; ++i)
    modules.push_back({"module" + std::to_string(i), 0.001 * (i + 1), 0.003 * (i + 1), 0.01});
  return modules;
}

TEST(GptqReport, ALineForEachLayer) {
  const std::string table = gptq_table(two_layers());
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 5);
  EXPECT_NE(table.find("\n    0    0.1000  3.0x"), std::string::npos) << table;
  EXPECT_NE(table.find("\n    1    0.8000  3.0x"), std::string::npos) << table;
  EXPECT_NE(table.find("\n mean    0.7500  3.0x\n"), std::string::npos) << table;
}

TEST(GptqReport, TheFileSaysHowItWasMade) {
  GptqRun run;
  run.options.group_size = 64;
  run.options.hessian.damp_percent = 0.02;
  run.calibration.sequences = 9;
  run.calibration.tokens = 3;
  run.calibration.seed = 5;
  run.kernels = "reference";
  const auto json = nlohmann::json::parse(gptq_json(two_layers(), run, {{{1, 2, 3}, {4}}, "a file", "digest"}));
  EXPECT_EQ(json["bits"], 4);
  EXPECT_EQ(json["group_size"], 64);
  EXPECT_EQ(json["kernels"], "reference");
  EXPECT_EQ(json["damp_percent"], 0.02);
  EXPECT_FALSE(json["version"].get<std::string>().empty());
  nlohmann::json text = {{"source", "a file"}, {"sha256", "digest"}, {"sequences", 2},
                         {"tokens", 4},        {"max_sequences", 9}, {"max_tokens", 3}};
  EXPECT_EQ(json["calibration"], text);
  text.erase("sha256");
  text["seed"] = 5;
  EXPECT_EQ(nlohmann::json::parse(gptq_json(two_layers(), run, {{{1, 2, 3}, {4}}, "a file", ""}))["calibration"], text);
  EXPECT_NEAR(json["mean_error"].get<double>(), 0.0075, 1e-12);
  ASSERT_EQ(json["modules"].size(), 14u);
  EXPECT_EQ(json["modules"][3]["module"], "module3");
  EXPECT_NEAR(json["modules"][3]["nearest_error"].get<double>(), 0.012, 1e-12);
}

}  // namespace
}  // namespace qwen
