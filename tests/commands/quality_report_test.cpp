#include "commands/quality_report.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace qwen {
namespace {

QualityReport report() {
  QualityReport out;
  out.model = "folder";
  out.reference_kernels = "avx2";
  out.text = "random token ids";
  out.cpu = "Some CPU";
  out.date = "2026-01-02T03:04:05Z";
  out.layers = 6;
  out.sequences = 4;
  out.formats = {{"none", "avx512_bf16", 16, {512, 1e-4, 1e-5, 1}},
                 {"int8", "avx512_bf16", 8.125, {512, 0.003, 2e-4, 0.99}},
                 {"int4", "avx512_bf16", 4.5, {512, 0.03, 2e-3, 0.95}},
                 {"q8_0", "cpu, simulating llama.cpp", 8.5, {512, 0.004, 3e-4, 0.98}}};
  return out;
}

TEST(QualityReport, AFormatIsMeasuredByLlamaCppsWithAsManyBits) {
  const QualityReport all = report();
  EXPECT_FALSE(all.kl_ratio(all.formats[0]));
  EXPECT_DOUBLE_EQ(*all.kl_ratio(all.formats[1]), 0.75);
  EXPECT_FALSE(all.kl_ratio(all.formats[2])) << "q4_0 was not measured";
  EXPECT_FALSE(all.kl_ratio(all.formats[3]));
}

TEST(QualityReport, Json) {
  const nlohmann::json json = nlohmann::json::parse(quality_json(report()));
  EXPECT_EQ(json["model"], "folder");
  EXPECT_EQ(json["layers"], 6);
  EXPECT_EQ(json["sequences"], 4);
  EXPECT_EQ(json["text"], "random token ids");
  EXPECT_EQ(json["date"], "2026-01-02T03:04:05Z");
  ASSERT_EQ(json["formats"].size(), 4u);
  const nlohmann::json& int8 = json["formats"][1];
  EXPECT_EQ(int8["format"], "int8");
  EXPECT_EQ(int8["bits_per_weight"], 8.125);
  EXPECT_EQ(int8["mean_kl"], 0.003);
  EXPECT_EQ(int8["standard_error"], 2e-4);
  EXPECT_EQ(int8["top1_agreement"], 0.99);
  EXPECT_DOUBLE_EQ(int8["kl_ratio"], 0.75);
  EXPECT_EQ(int8["positions"], 512);
  EXPECT_TRUE(json["formats"][0]["kl_ratio"].is_null());
}

TEST(QualityReport, JsonOfWhatIsNoNumberIsNull) {
  QualityReport broken = report();
  broken.formats[1].agreement.mean_kl = std::nan("");
  const nlohmann::json json = nlohmann::json::parse(quality_json(broken));
  EXPECT_TRUE(json["formats"][1]["mean_kl"].is_null());
}

TEST(QualityReport, Table) {
  const std::string table = quality_table(report());
  for (const char* part :
       {"folder, 6 layers", "kernels avx2", "4 sequences of random token ids", "Some CPU, 2026-01-02", "8.12",
        "3.000e-03", "0.75 x", "99.00 %", "512", "simulating llama.cpp"})
    EXPECT_NE(table.find(part), std::string::npos) << part << "\n" << table;
}

}  // namespace
}  // namespace qwen
