#include "thinking/reasoning_steps.h"

#include <gtest/gtest.h>

#include "base/utf8.h"
#include "thinking/thinking_budget.h"

namespace qwen {
namespace {

using Steps = std::vector<std::string>;

TEST(ReasoningSteps, NumberedLinesInBothLanguages) {
  EXPECT_EQ(reasoning_steps("Let me plan.\n\n1. **Threats**: who\n   attacks?\n2. Choose a hash.\n10) Salt."),
            (Steps{"Let me plan.", "Threats: who attacks?", "Choose a hash.", "Salt."}));
  EXPECT_EQ(reasoning_steps("一、分析威胁\n二、选择算法\n十二、盐值"), (Steps{"分析威胁", "选择算法", "盐值"}));
  EXPECT_EQ(reasoning_steps("第一步：分析\n第2步：选择\n步骤3：设计\n（4）检查"),
            (Steps{"分析", "选择", "设计", "检查"}));
  EXPECT_EQ(reasoning_steps("Step 1: read\nStep 2: think\n**Step 3: write**"), (Steps{"read", "think", "write"}));
  EXPECT_EQ(reasoning_steps("- a\n* b\n## c"), (Steps{"a", "b", "c"}));
}

TEST(ReasoningSteps, NumbersAreNoMarkers) {
  EXPECT_EQ(reasoning_steps("3.14 is pi\n-5 is less\n2025 was a year"),
            (Steps{"3.14 is pi", "-5 is less", "2025 was a year"}));
}

TEST(ReasoningSteps, ParagraphsThenLinesThenSentences) {
  EXPECT_EQ(reasoning_steps("First\nthing.\n\n\nSecond."), (Steps{"First thing.", "Second."}));
  EXPECT_EQ(reasoning_steps("add 47+85\n7+5=12\n\n"), (Steps{"add 47+85", "7+5=12"}));
  EXPECT_EQ(reasoning_steps("It is 3.5 m. So what? 先分析。再选择！"),
            (Steps{"It is 3.5 m.", "So what?", "先分析。", "再选择！"}));
  EXPECT_EQ(reasoning_steps("one"), Steps{"one"});
}

TEST(ReasoningSteps, NothingGivesNothing) {
  EXPECT_TRUE(reasoning_steps("").empty());
  EXPECT_TRUE(reasoning_steps(" \n\n\t").empty());
  EXPECT_TRUE(reasoning_steps(kEarlyStopSentence).empty());
  EXPECT_EQ(reasoning_steps("- \n- \n- x"), Steps{"x"});
}

TEST(ReasoningSteps, TheEarlyStopSentenceIsNoStep) {
  EXPECT_EQ(reasoning_steps("One.\n\nTwo.\n\n" + std::string(kEarlyStopSentence)), (Steps{"One.", "Two."}));
}

TEST(ReasoningSteps, CountAndLengthAreBounded) {
  std::string many, wide;
  for (int i = 0; i < 1000; ++i) many += "Step number " + std::to_string(i) + " of it all.\n\n";
  EXPECT_LE(reasoning_steps(many).size(), kMaxReasoningSteps);
  EXPECT_GT(reasoning_steps(many).size(), kMaxReasoningSteps / 2);
  EXPECT_EQ(reasoning_steps(many)[0].substr(0, 13), "Step number 0");
  for (int i = 0; i < 1000; ++i) wide += "思考";
  const Steps one = reasoning_steps(wide);
  ASSERT_EQ(one.size(), 1u);
  EXPECT_EQ(one[0].size(), 3 * kMaxStepCharacters + std::string("…").size());
  EXPECT_EQ(reasoning_steps("A sentence. " + std::string(300, 'x'))[0], "A sentence.");
}

// Whatever the bytes: valid single lines that are not empty.
TEST(ReasoningSteps, AnyBytes) {
  uint32_t state = 7;
  const std::string pieces[] = {"\n", "\n\n", "1. ", "- ", "\xff", "\xe6\x80", "思", "。",
                                "**", "#",    " ",   "a",  "第",   "(",        "步", "3"};
  for (int round = 0; round < 3000; ++round) {
    std::string thought;
    for (int i = 0; i < 40; ++i) {
      state = state * 1664525 + 1013904223;
      thought += pieces[state >> 28];
    }
    for (const std::string& step : reasoning_steps(thought)) {
      EXPECT_FALSE(step.empty());
      EXPECT_TRUE(utf8_valid(step));
      EXPECT_EQ(step.find('\n'), std::string::npos);
    }
  }
}

TEST(ReasoningSteps, AMegabyteTakesNoTime) {
  reasoning_steps(std::string(2 << 20, '\n'));
  reasoning_steps(std::string(2 << 20, 'a'));
  reasoning_steps(std::string(2 << 20, '\xe6'));
  std::string stars(1 << 20, '*');
  EXPECT_LE(reasoning_steps(stars).size(), 1u);
}

}  // namespace
}  // namespace qwen
