// What the settings ask for, put beside what a folder holds.
#include "commands/weight_format.h"

#include <gtest/gtest.h>

#include "support/expect_error.h"

namespace qwen {
namespace {

using Kind = QuantFormat::Kind;

ServiceConfig asked(const char* format, const char* head = "auto") {
  ServiceConfig config;
  config.quantization_format = format;
  config.head_format = head;
  return config;
}

ModelConfig holding(const char* method, const WeightFormats& formats = {}) {
  ModelConfig config;
  config.quantization = {method, formats.linear, formats.head};
  return config;
}

TEST(ChooseFormat, PlainFolders) {
  const ModelConfig plain = holding("");
  EXPECT_EQ(choose_format(asked("none"), plain).formats.linear.kind, Kind::kNone);
  EXPECT_EQ(choose_format(asked("none"), plain).formats.head.kind, Kind::kNone);
  EXPECT_EQ(choose_format(asked("none", "int8"), plain).formats.head.kind, Kind::kInt8);
  EXPECT_EQ(choose_format(asked("int4"), plain).formats.head.kind, Kind::kInt8);
  EXPECT_EQ(choose_format(asked("int4", "none"), plain).formats.head.kind, Kind::kNone);
  EXPECT_EQ(choose_format(asked("int4", "none"), plain).formats.linear.kind, Kind::kInt4);
  EXPECT_TRUE(fails_with([&] { choose_format(asked("gptq"), plain); }, ErrorCode::kConfig, "holds plain weights"));
}

TEST(ChooseFormat, OurOwnFolders) {
  const ModelConfig int4 = holding("qwen_thinking", weight_formats("int4"));
  for (const char* format : {"none", "int4"}) {
    const ChosenFormat chosen = choose_format(asked(format), int4);
    EXPECT_EQ(chosen.name, "int4");
    EXPECT_EQ(chosen.formats.linear, weight_formats("int4").linear);
    EXPECT_EQ(chosen.formats.head, weight_formats("int4").head);
  }
  EXPECT_TRUE(fails_with([&] { choose_format(asked("int8"), int4); }, ErrorCode::kConfig, "holds int4: use none"));
  EXPECT_TRUE(
      fails_with([&] { choose_format(asked("none", "none"), int4); }, ErrorCode::kConfig, "holds an int8 embedding"));
  const ModelConfig plain_head = holding("qwen_thinking", {weight_formats("int8").linear, {}});
  EXPECT_EQ(choose_format(asked("none"), plain_head).formats.head.kind, Kind::kNone);
  EXPECT_EQ(choose_format(asked("none", "none"), plain_head).formats.head.kind, Kind::kNone);
  EXPECT_EQ(choose_format(asked("none", "int8"), plain_head).formats.head.kind, Kind::kInt8);
}

TEST(ChooseFormat, OtherQuantizedFolders) {
  const ModelConfig gptq = holding("gptq", {{.kind = Kind::kGptq, .bits = 4, .group_size = 128}, {}});
  for (const char* format : {"none", "gptq"}) {
    EXPECT_EQ(choose_format(asked(format), gptq).name, "gptq");
    EXPECT_EQ(choose_format(asked(format), gptq).formats.linear.kind, Kind::kNone);
    EXPECT_EQ(choose_format(asked(format), gptq).formats.head.kind, Kind::kNone);
    EXPECT_EQ(choose_format(asked(format, "int8"), gptq).formats.head.kind, Kind::kInt8);
  }
  EXPECT_TRUE(fails_with([&] { choose_format(asked("int4"), gptq); }, ErrorCode::kConfig, "holds gptq: use none"));
}

}  // namespace
}  // namespace qwen
