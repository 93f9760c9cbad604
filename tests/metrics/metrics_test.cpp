// The catalogue as a whole: names that Prometheus' conventions allow, buckets that ascend.
#include "metrics/metrics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <sstream>

namespace qwen {
namespace {

TEST(Metrics, NamesFollowTheConventions) {
  const Metrics metrics;  // a name used twice would have thrown
  std::istringstream text(metrics.registry.text());
  const std::regex type("# TYPE ((qwen_|process_|http_|memory_|cpu_)[a-z_]+) (counter|gauge|histogram)");
  int families = 0;
  for (std::string line; std::getline(text, line);) {
    if (line.rfind("# TYPE ", 0) != 0) continue;
    std::smatch parts;
    ASSERT_TRUE(std::regex_match(line, parts, type)) << line;
    const std::string name = parts[1];
    EXPECT_EQ(name.size() > 6 && name.substr(name.size() - 6) == "_total", parts[3] == "counter") << line;
    ++families;
  }
  EXPECT_GT(families, 25);
}

TEST(Metrics, BucketsAscend) {
  for (const Buckets& bounds : {buckets::kHttpSeconds, buckets::kFirstTokenSeconds, buckets::kPerTokenSeconds,
                                buckets::kRequestSeconds, buckets::kTokens, buckets::kStepTokens, buckets::kSequences})
    EXPECT_TRUE(std::is_sorted(bounds.begin(), bounds.end(), std::less_equal<>())) << bounds.front();
}

}  // namespace
}  // namespace qwen
