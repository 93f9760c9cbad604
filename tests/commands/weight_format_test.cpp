// What the settings ask for, put beside what a folder holds.
#include "commands/weight_format.h"

#include <gtest/gtest.h>

#include "support/expect_error.h"

namespace qwen {
namespace {

using Kind = QuantFormat::Kind;

ServiceConfig asked(const std::string& format, const char* head = "auto") {
  ServiceConfig config;
  config.quantization_format = format;
  config.origins["model.quantization.format"] = {"QUANTIZATION_FORMAT", ErrorCode::kConfig};
  config.head_format = head;
  return config;
}

ModelConfig holding(const char* method, const WeightFormats& formats = {}) {
  ModelConfig config;
  config.quantization = {method, formats.linear, formats.head};
  return config;
}

const ModelConfig kPlain = holding("");
const ModelConfig kGptq = holding("gptq", {{.kind = Kind::kGptq, .bits = 4, .group_size = 128}, {}});
const ModelConfig kAwq = holding("awq", {{.kind = Kind::kAwq, .bits = 4, .group_size = 128}, {}});
const ModelConfig kFp8 = holding("fp8", {{.kind = Kind::kFp8Block}, {}});

TEST(ChooseFormat, PlainWeightsBecomeWhatWasAsked) {
  for (const char* format : {"none", "int8", "int4", "int4-g64"}) {
    const ChosenFormat chosen = choose_format(asked(format), kPlain);
    EXPECT_EQ(chosen.name, format);
    EXPECT_EQ(chosen.formats.linear, weight_formats(format).linear);
    EXPECT_EQ(chosen.formats.head, weight_formats(format).head);
  }
}

TEST(ChooseFormat, TheHeadHasASettingOfItsOwn) {
  EXPECT_EQ(choose_format(asked("none", "int8"), kPlain).formats.head.kind, Kind::kInt8);
  EXPECT_EQ(choose_format(asked("none", "int8"), kPlain).formats.linear.kind, Kind::kNone);
  EXPECT_EQ(choose_format(asked("int4", "none"), kPlain).formats.head.kind, Kind::kNone);
  EXPECT_EQ(choose_format(asked("int4", "none"), kPlain).formats.linear.kind, Kind::kInt4);
  EXPECT_EQ(choose_format(asked("none", "int8"), kGptq).formats.head.kind, Kind::kInt8);
  EXPECT_EQ(choose_format(asked("none", "int8"), kGptq).formats.linear.kind, Kind::kNone);
  EXPECT_EQ(choose_format(asked("gptq", "none"), kGptq).formats.head.kind, Kind::kNone);
  EXPECT_EQ(choose_format(asked("gptq", "none"), kGptq).formats.linear.kind, Kind::kInt8);
}

TEST(ChooseFormat, OurOwnFolders) {
  const ModelConfig int4 = holding("qwen_thinking", weight_formats("int4"));
  for (const char* format : {"none", "int4"}) {
    const ChosenFormat chosen = choose_format(asked(format), int4);
    EXPECT_EQ(chosen.name, "int4");
    EXPECT_EQ(chosen.formats.linear, weight_formats("int4").linear);
    EXPECT_EQ(chosen.formats.head, weight_formats("int4").head);
  }
  for (const char* format : {"int8", "int4-g64", "gptq"})
    EXPECT_TRUE(fails_with([&] { choose_format(asked(format), int4); }, ErrorCode::kConfig, "holds int4: use none"));
  EXPECT_TRUE(
      fails_with([&] { choose_format(asked("none", "none"), int4); }, ErrorCode::kConfig, "holds an int8 embedding"));
  ServiceConfig in_file = asked("int8");  // written for any model
  in_file.origins["model.quantization.format"].from_file = true;
  EXPECT_EQ(choose_format(in_file, int4).name, "int4");
  ServiceConfig unset;  // the default, int8, is for plain weights
  EXPECT_EQ(choose_format(unset, int4).name, "int4");
  EXPECT_EQ(choose_format(unset, kPlain).name, "int8");
  const ModelConfig plain_head = holding("qwen_thinking", {weight_formats("int8").linear, {}});
  EXPECT_EQ(choose_format(asked("none"), plain_head).formats.head.kind, Kind::kNone);
  EXPECT_EQ(choose_format(asked("none", "none"), plain_head).formats.head.kind, Kind::kNone);
  EXPECT_EQ(choose_format(asked("none", "int8"), plain_head).formats.head.kind, Kind::kInt8);
}

TEST(ChooseFormat, AFoldersOwnIntegersStayAndInt8IsWhatIsBesideThem) {
  for (const ModelConfig& model : {kGptq, kAwq}) {
    const std::string& stored = model.quantization.method;
    EXPECT_EQ(choose_format(asked("none"), model).name, stored);
    EXPECT_EQ(choose_format(asked("none"), model).formats.linear.kind, Kind::kNone);
    EXPECT_EQ(choose_format(asked("none"), model).formats.head.kind, Kind::kNone);
    for (const std::string format : {"int8", "int4", "int4-g64", "gptq"}) {
      if (format == "gptq" && stored != "gptq") continue;
      const ChosenFormat chosen = choose_format(asked(format), model);
      EXPECT_EQ(chosen.name, stored);
      EXPECT_EQ(chosen.formats.linear.kind, Kind::kInt8);
      EXPECT_EQ(chosen.formats.head.kind, Kind::kInt8);
    }
  }
}

TEST(ChooseFormat, Fp8WeightsAreQuantizedAsPlainOnes) {
  EXPECT_EQ(choose_format(asked("none"), kFp8).name, "fp8");
  EXPECT_EQ(choose_format(asked("int8"), kFp8).name, "fp8");
  EXPECT_EQ(choose_format(asked("int8"), kFp8).formats.linear.kind, Kind::kInt8);
  EXPECT_EQ(choose_format(asked("int4"), kFp8).name, "int4");
  EXPECT_EQ(choose_format(asked("int4"), kFp8).formats.linear.kind, Kind::kInt4);
}

TEST(ChooseFormat, GptqIsForGptqFolders) {
  const auto refused = [](const ModelConfig& model, const char* words) {
    return fails_with([&] { choose_format(asked("gptq"), model); }, ErrorCode::kConfig, words);
  };
  EXPECT_TRUE(refused(kPlain, "qwen-thinking quantize"));
  EXPECT_TRUE(refused(kAwq, "holds awq weights"));
  EXPECT_TRUE(refused(kFp8, "holds fp8 weights"));
}

}  // namespace
}  // namespace qwen
