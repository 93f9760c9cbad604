#include "base/nearest_name.h"

#include <gtest/gtest.h>

#include <vector>

namespace qwen {
namespace {

TEST(NearestName, AThirdOfTheLettersAtMost) {
  const std::vector<std::string_view> known = {"port", "host", "temperature"};
  EXPECT_EQ(nearest_name("prt", known), "port");
  EXPECT_EQ(nearest_name("prot", known), "port");
  EXPECT_EQ(nearest_name("opt", known), std::nullopt);
  EXPECT_EQ(nearest_name("temprature", known), "temperature");
  EXPECT_EQ(nearest_name("host", known), "host");
  EXPECT_EQ(nearest_name("zzzz", known), std::nullopt);
  EXPECT_EQ(nearest_name("", known), std::nullopt);
  EXPECT_EQ(nearest_name("port", {}), std::nullopt);
}

}  // namespace
}  // namespace qwen
