#include "commands/bench_report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace qwen {
namespace {

BenchReport report() {
  BenchReport out{"folder", "cpu", "avx2", 2, 16, 1234567, 1.5, int64_t{1} << 30, {}};
  BenchResult decode;
  decode.kind = BenchResult::Kind::kDecode;
  decode.batch = 2;
  decode.tokens = 20;
  decode.work = 8e9;
  decode.runs = {{1.0, 10.0}, {2.0, 5.0}, {4.0, 4.0}};  // the machine slowed down: rates 8, 4, 2 of 10, 5, 4 GB/s
  out.results.push_back(decode);
  return out;
}

TEST(BenchReport, FractionsAreOfEachRunsOwnProbe) {
  const BenchResult decode = report().results[0];
  EXPECT_DOUBLE_EQ(decode.tokens_per_second(), 10);
  EXPECT_DOUBLE_EQ(decode.rate(), 4);
  EXPECT_DOUBLE_EQ(decode.peak(), 5);
  EXPECT_DOUBLE_EQ(decode.fraction(), 0.8);  // median of 0.8, 0.8 and 0.5
}

TEST(BenchReport, JsonHoldsEveryRun) {
  const nlohmann::json json = nlohmann::json::parse(bench_json(report()));
  EXPECT_EQ(json["parameters"], 1234567);
  EXPECT_EQ(json["peak_resident_bytes"], int64_t{1} << 30);
  ASSERT_EQ(json["results"].size(), 1u);
  const nlohmann::json& decode = json["results"][0];
  EXPECT_EQ(decode["test"], "decode");
  EXPECT_EQ(decode["batch"], 2);
  EXPECT_EQ(decode["unit"], "GB/s");
  EXPECT_EQ(decode["fraction"], 0.8);
  EXPECT_EQ(decode["runs"].size(), 3u);
}

TEST(BenchReport, TableNamesTestsAndUnits) {
  const std::string table = bench_table(report());
  for (const char* part : {"1,234,567 parameters", "decode 10, batch 2", "4.0 GB/s", "5.0 GB/s", "80.0 %", "1.00 GiB"})
    EXPECT_NE(table.find(part), std::string::npos) << part << "\n" << table;
  EXPECT_EQ(table.find("caches"), std::string::npos);
  BenchReport small = report();
  small.results[0].work *= 10;
  EXPECT_NE(bench_table(small).find("caches"), std::string::npos);
}

}  // namespace
}  // namespace qwen
