#include "commands/bench_report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace qwen {
namespace {

using Kind = BenchResult::Kind;

BenchReport report() {
  BenchReport out;
  out.model = "folder";
  out.device = "cpu";
  out.kernels = "avx2";
  out.format = "none";
  out.cpu = "Some CPU";
  out.date = "2026-01-02T03:04:05Z";
  out.threads = 2;
  out.parameters = 1234567;
  out.weight_bytes = int64_t{2} << 20;
  out.kv_cache_dtype = "int8";
  out.kv_bytes_per_token = 76032;
  out.load_seconds = 1.5;
  out.peak_resident_bytes = int64_t{1} << 30;
  out.small_page_read_gbs = 27.5;
  out.results.push_back({Kind::kPrefill, 512, 512, {0, 400e9}, {{10.0, 30, 50}}});
  out.results.push_back({Kind::kDecode, 2048, 10, {8e9, 0}, {{1.0, 10, 50}, {2.0, 5, 40}}});
  out.results.push_back({Kind::kBatch, 8, 80, {8e9, 100e9}, {{4.0, 10, 50}}});
  return out;
}

TEST(BenchReport, JsonHasOneListPerKindAndEveryRun) {
  const nlohmann::json json = nlohmann::json::parse(bench_json(report()));
  EXPECT_EQ(json["parameters"], 1234567);
  EXPECT_EQ(json["format"], "none");
  EXPECT_EQ(json["kv_cache_dtype"], "int8");
  EXPECT_EQ(json["kv_bytes_per_token"], 76032);
  EXPECT_EQ(json["cpu"], "Some CPU");
  EXPECT_EQ(json["date"], "2026-01-02T03:04:05Z");
  EXPECT_EQ(json["peak_resident_bytes"], int64_t{1} << 30);
  ASSERT_EQ(json["prefill"].size(), 1u);
  EXPECT_EQ(json["prefill"][0]["tokens"], 512);
  EXPECT_DOUBLE_EQ(json["prefill"][0]["tokens_per_second"], 51.2);
  EXPECT_DOUBLE_EQ(json["prefill"][0]["ceiling"], 64);
  EXPECT_DOUBLE_EQ(json["prefill"][0]["share"], 0.8);
  ASSERT_EQ(json["decode"].size(), 1u);
  EXPECT_EQ(json["decode"][0]["depth"], 2048);
  EXPECT_EQ(json["decode"][0]["runs"].size(), 2u);
  EXPECT_EQ(json["decode"][0]["runs"][1]["read_gbs"], 5);
  ASSERT_EQ(json["batch"].size(), 1u);
  EXPECT_EQ(json["batch"][0]["size"], 8);
  EXPECT_DOUBLE_EQ(json["batch"][0]["ceiling"], 40);  // 100 Gop at 50 Gop/s take longer than 8 GB at 10 GB/s
}

TEST(BenchReport, JsonOfNoTestsHasEmptyLists) {
  const nlohmann::json json = nlohmann::json::parse(bench_json(BenchReport{}));
  for (const char* list : {"prefill", "decode", "batch"}) EXPECT_EQ(json[list], nlohmann::json::array()) << list;
}

TEST(BenchReport, TableNamesTestsAndUnits) {
  const std::string table = bench_table(report());
  for (const char* part : {"1,234,567 parameters", "format none", "Some CPU, 2026-01-02", "prefill, 512 tokens",
                           "decode, depth 2,048", "decode, batch of 8", "30.0 GB/s", "50 Gop/s", "80.0 %", "27.5 GB/s",
                           "1.00 GiB", "2.0 MiB", "keys and values in int8, 76,032 bytes a token"})
    EXPECT_NE(table.find(part), std::string::npos) << part << "\n" << table;
  EXPECT_EQ(table.find("caches"), std::string::npos);
  EXPECT_EQ(table.find("Other processes"), std::string::npos);
  BenchReport small = report();
  small.results[1].work.bytes *= 10;
  EXPECT_NE(bench_table(small).find("caches"), std::string::npos);
  BenchReport disturbed = report();
  disturbed.results[0].runs[0].other_load = 0.25;
  EXPECT_NE(bench_table(disturbed).find("up to 25 %"), std::string::npos);
}

TEST(BenchReport, ProbeJson) {
  const nlohmann::json json = nlohmann::json::parse(probe_json({30.5, 450}, 28.5, 2));
  EXPECT_EQ(json["read_gbs"], 30.5);
  EXPECT_EQ(json["small_page_read_gbs"], 28.5);
  EXPECT_EQ(json["dot_gops"], 450);
  EXPECT_EQ(json["threads"], 2);
}

}  // namespace
}  // namespace qwen
