// The text that Prometheus reads, and the figures behind it.
#include "metrics/registry.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace qwen {
namespace {

bool has_line(const MetricRegistry& registry, const std::string& line) {
  return ("\n" + registry.text()).find("\n" + line + "\n") != std::string::npos;
}

TEST(Registry, TellsTypesHelpAndValues) {
  MetricRegistry registry;
  const Counter counter(registry, "a_total", "How many.");
  const Gauge gauge(registry, "b", "How much.");
  counter.add();
  counter.add(2.5);
  gauge.set(-1);
  EXPECT_TRUE(has_line(registry, "# HELP a_total How many."));
  EXPECT_TRUE(has_line(registry, "# TYPE a_total counter"));
  EXPECT_TRUE(has_line(registry, "a_total 3.5"));
  EXPECT_TRUE(has_line(registry, "# TYPE b gauge"));
  EXPECT_TRUE(has_line(registry, "b -1"));
}

TEST(Registry, ABucketHoldsItsBound) {
  MetricRegistry registry;
  const Histogram histogram(registry, "h_seconds", "Time.", {0.1, 1});
  EXPECT_EQ(histogram.mean(), 0);
  for (const double value : {0.1, 0.5, 3.0}) histogram.observe(value);
  EXPECT_TRUE(has_line(registry, "h_seconds_bucket{le=\"0.1\"} 1"));
  EXPECT_TRUE(has_line(registry, "h_seconds_bucket{le=\"1\"} 2"));
  EXPECT_TRUE(has_line(registry, "h_seconds_bucket{le=\"+Inf\"} 3"));
  EXPECT_EQ(histogram.count(), 3u);
  EXPECT_DOUBLE_EQ(histogram.mean(), 1.2);
}

TEST(Registry, FamiliesTellMembersOnly) {
  MetricRegistry registry;
  const Family<Counter> family(registry, "f_total", "Many.", {"x", "y"});
  EXPECT_EQ(registry.text().find("f_total"), std::string::npos);
  family.with({"1", "quote\"and\\slash\n"}).add();
  family.with({"1", "quote\"and\\slash\n"}).add();
  family.with({"2", ""});
  EXPECT_TRUE(has_line(registry, R"(f_total{x="1",y="quote\"and\\slash\n"} 2)")) << registry.text();
  EXPECT_TRUE(has_line(registry, R"(f_total{x="2",y=""} 0)")) << registry.text();
}

TEST(Registry, ACounterFollowsATotalAndNeverFalls) {
  MetricRegistry registry;
  const Counter counter(registry, "a_total", "Many.");
  for (const double total : {3.0, 7.0, 5.0}) counter.follow(total);
  EXPECT_EQ(counter.value(), 7);
}

TEST(Registry, CountsFromManyThreads) {
  MetricRegistry registry;
  const Counter counter(registry, "a_total", "Many.");
  const Histogram histogram(registry, "h", "Sizes.", {1, 2});
  const Family<Counter> family(registry, "f_total", "Many.", {"x"});
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int n = 0; n < 1000; ++n) {
        counter.add();
        histogram.observe(1);
        family.with({n % 2 == 0 ? "even" : "odd"}).add();
        if (n % 100 == 0) registry.text();
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counter.value(), 4000);
  EXPECT_EQ(histogram.count(), 4000u);
  EXPECT_EQ(family.with({"odd"}).value(), 2000);
}

TEST(Registry, ANameIsTakenOnce) {
  MetricRegistry registry;
  const Counter counter(registry, "a_total", "Many.");
  EXPECT_ANY_THROW(Gauge(registry, "a_total", "Other."));
}

}  // namespace
}  // namespace qwen
