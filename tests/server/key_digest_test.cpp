// Keys are compared as digests, and how long that takes says nothing about them.
#include "server/access/key_digest.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>
#include <vector>

namespace qwen {
namespace {

std::vector<KeyDigest> some_digests(int count) {
  std::vector<KeyDigest> list;
  for (int i = 0; i < count; ++i) list.push_back(sha256("key " + std::to_string(i)));
  return list;
}

TEST(KeyDigest, FindsThePlaceOfWhatIsThere) {
  const auto list = some_digests(9);
  for (size_t i = 0; i < list.size(); ++i) EXPECT_EQ(find_digest(list, list[i]), i);
  EXPECT_EQ(find_digest(list, sha256("key 9")), std::nullopt);
  EXPECT_EQ(find_digest({}, sha256("")), std::nullopt);
  for (size_t byte = 0; byte < 32; ++byte) {
    for (const unsigned char bit : {1, 128}) {
      KeyDigest near = list[4];
      near[byte] ^= bit;
      EXPECT_EQ(find_digest(list, near), std::nullopt) << byte;
    }
  }
}

TEST(KeyDigest, OfAPlainAndOfAHashedKey) {
  const std::string hex = sha256_hex("secret");
  EXPECT_EQ(digest_of_configured("secret"), sha256("secret"));
  EXPECT_EQ(digest_of_configured("sha256:" + hex), sha256("secret"));
  EXPECT_TRUE(well_formed_key("secret"));
  EXPECT_TRUE(well_formed_key("sha256:" + hex));
  EXPECT_FALSE(well_formed_key("sha256:" + hex.substr(1)));
  EXPECT_FALSE(well_formed_key("sha256:g" + hex.substr(1)));
  EXPECT_NE(digest_of_configured("sha256:" + hex), sha256("sha256:" + hex));
}

// Welch's t between two kinds of digests, one call of each in random order. What interrupts a call (the scheduler,
// another process) has nothing to do with its kind: times beyond the 90th percentile of all are left out, as dudect does.
class Welch {
 public:
  template <typename Call>
  static double t(int calls, Call call) {
    std::mt19937 random(7);
    std::vector<std::pair<bool, double>> times;
    times.reserve(static_cast<size_t>(2 * calls));
    for (int i = 0; i < calls; ++i) {
      const bool first = (random() & 1) != 0;
      for (const bool kind : {first, !first}) {
        const auto begin = std::chrono::steady_clock::now();
        call(kind);
        times.emplace_back(kind, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
      }
    }
    std::vector<double> sorted;
    for (const auto& [kind, time] : times) sorted.push_back(time);
    const auto limit = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() * 9 / 10);
    std::nth_element(sorted.begin(), limit, sorted.end());
    double n[2] = {}, mean[2] = {}, squares[2] = {};
    for (const auto& [kind, time] : times) {
      if (time > *limit) continue;
      const double delta = time - mean[kind];
      mean[kind] += delta / ++n[kind];
      squares[kind] += delta * (time - mean[kind]);
    }
    const double variance = squares[0] / (n[0] - 1) / n[0] + squares[1] / (n[1] - 1) / n[1];
    return variance == 0 ? 0 : (mean[0] - mean[1]) / std::sqrt(variance);
  }
};

// The least of a few tries: a difference in the code is there each time, a disturbance of the machine is not.
double least_t(int calls, const std::vector<KeyDigest>& list, const KeyDigest& a, const KeyDigest& b) {
  double least = 1e9;
  for (int attempt = 0; attempt < 4 && least >= 4.5; ++attempt) {
    const double t = Welch::t(calls, [&, copies = std::array{a, b}](bool kind) {
      volatile bool found = find_digest(list, copies[kind ? 1 : 0]).has_value();
      static_cast<void>(found);
    });
    least = std::min(least, std::abs(t));
  }
  return least;
}

void expect_constant_time(int calls) {
  const auto list = some_digests(20);
  KeyDigest first_byte = list[0], last_byte = list[0];
  first_byte[0] ^= 1;
  last_byte[31] ^= 1;
  EXPECT_LT(least_t(calls, list, first_byte, last_byte), 4.5) << "where a digest differs";
  EXPECT_LT(least_t(calls, list, list.front(), list.back()), 4.5) << "whose digest it is";
  EXPECT_LT(least_t(calls, list, list.front(), sha256("unknown")), 4.5) << "whether it is one";
}

TEST(KeyDigest, TakesTheSameTimeForAll) { expect_constant_time(10'000); }
TEST(KeyDigest, SlowTakesTheSameTimeForAllIn1e5Calls) { expect_constant_time(100'000); }

// The measure itself would see a comparison that ends at the first difference.
TEST(KeyDigest, TheMeasureSeesAComparisonThatEndsEarly) {
  const auto list = some_digests(20);
  const double t = Welch::t(10'000, [&](bool kind) {
    volatile bool found = std::find(list.begin(), list.end(), kind ? list.back() : list.front()) != list.end();
    static_cast<void>(found);
  });
  EXPECT_GT(std::abs(t), 4.5);
}

}  // namespace
}  // namespace qwen
