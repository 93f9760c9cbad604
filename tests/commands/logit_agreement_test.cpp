#include "commands/logit_agreement.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace qwen {
namespace {

using Row = std::vector<float>;

TEST(LogitAgreement, EqualRowsDifferByNothingWhateverIsAddedToThem) {
  AgreementMeter meter;
  meter.add(Row{1, 2, 3}, Row{1, 2, 3});
  meter.add(Row{1, 2, 3}, Row{101, 102, 103});
  meter.add(Row{-1000, 0, 1000}, Row{-1000, 0, 1000});
  const LogitAgreement result = meter.result();
  EXPECT_EQ(result.positions, 3);
  EXPECT_NEAR(result.mean_kl, 0, 1e-12);
  EXPECT_EQ(result.top1, 1);
}

// p = (3/4, 1/4) and q = (1/2, 1/2): KL = 3/4 ln(3/2) + 1/4 ln(1/2); the other way round it would be another.
TEST(LogitAgreement, WeighsByTheReference) {
  const float log3 = std::log(3.0f);
  AgreementMeter meter;
  meter.add(Row{log3, 0}, Row{0, 0});
  EXPECT_NEAR(meter.result().mean_kl, 0.75 * std::log(1.5) + 0.25 * std::log(0.5), 1e-7);
  EXPECT_EQ(meter.result().top1, 1);
  EXPECT_EQ(meter.result().standard_error, 0);
}

TEST(LogitAgreement, MeanErrorAndTopTokenOverPositions) {
  const float log3 = std::log(3.0f);
  const double kl = 0.75 * std::log(1.5) + 0.25 * std::log(0.5);
  AgreementMeter meter;
  meter.add(Row{log3, 0}, Row{0, 0});
  meter.add(Row{5, 5}, Row{5, 5});
  meter.add(Row{0, log3}, Row{1e-6f, 0});  // another token is likeliest
  const LogitAgreement result = meter.result();
  EXPECT_NEAR(result.mean_kl, 2 * kl / 3, 1e-6);
  EXPECT_NEAR(result.standard_error, kl / 3, 1e-6);  // of kl, 0, kl: deviation √(2/9)·kl over √(3 - 1)
  EXPECT_NEAR(result.top1, 2.0 / 3, 1e-12);
}

TEST(LogitAgreement, ARowThatIsNotFiniteShows) {
  AgreementMeter meter;
  meter.add(Row{0, 1}, Row{std::nanf(""), 1});
  EXPECT_TRUE(std::isnan(meter.result().mean_kl));
  EXPECT_EQ(AgreementMeter().result().positions, 0);
}

}  // namespace
}  // namespace qwen
