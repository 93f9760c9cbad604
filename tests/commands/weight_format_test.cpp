// Which format a folder gets for what was asked.
#include "commands/weight_format.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace qwen {
namespace {

using Kind = QuantFormat::Kind;

ModelConfig model(const std::string& method) {
  ModelConfig config;
  config.quantization.method = method;
  config.quantization.format.kind = method == "gptq"  ? Kind::kGptq
                                    : method == "awq" ? Kind::kAwq
                                    : method == "fp8" ? Kind::kFp8Block
                                                      : Kind::kNone;
  return config;
}

ChosenFormat chosen(const std::string& asked, const std::string& stored) {
  ServiceConfig config;
  config.quantization_format = asked;
  return choose_format(config, model(stored));
}

TEST(ChooseFormat, PlainWeightsBecomeWhatWasAsked) {
  for (const char* asked : {"none", "int8", "int4", "int4-g64"}) {
    EXPECT_EQ(chosen(asked, "").name, asked);
    EXPECT_EQ(chosen(asked, "").formats.linear, weight_formats(asked).linear);
  }
}

TEST(ChooseFormat, AFoldersOwnIntegersStayAndInt8IsWhatIsBesideThem) {
  for (const std::string stored : {"gptq", "awq"}) {
    EXPECT_EQ(chosen("none", stored).name, stored);
    EXPECT_EQ(chosen("none", stored).formats.head.kind, Kind::kNone);
    for (const std::string asked : {"int8", "int4", "int4-g64", "gptq"}) {
      if (asked == "gptq" && stored != "gptq") continue;
      EXPECT_EQ(chosen(asked, stored).name, stored);
      EXPECT_EQ(chosen(asked, stored).formats.linear.kind, Kind::kInt8);
      EXPECT_EQ(chosen(asked, stored).formats.head.kind, Kind::kInt8);
    }
  }
}

TEST(ChooseFormat, Fp8WeightsAreQuantizedAsPlainOnes) {
  EXPECT_EQ(chosen("none", "fp8").name, "fp8");
  EXPECT_EQ(chosen("int8", "fp8").name, "fp8");
  EXPECT_EQ(chosen("int8", "fp8").formats.linear.kind, Kind::kInt8);
  EXPECT_EQ(chosen("int4", "fp8").name, "int4");
  EXPECT_EQ(chosen("int4", "fp8").formats.linear.kind, Kind::kInt4);
}

TEST(ChooseFormat, GptqIsForGptqFolders) {
  for (const auto& [stored, words] : {std::pair{"", "qwen-thinking quantize"}, {"awq", "awq"}, {"fp8", "fp8"}}) {
    try {
      chosen("gptq", stored);
      ADD_FAILURE() << stored;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kConfig);
      EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace qwen
