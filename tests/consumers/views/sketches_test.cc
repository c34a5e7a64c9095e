// What the sketches promise: how far they may be off, that small ones are exact, how large they get, and that neither
// order nor grouping changes a byte where they change their form.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "consumers/views/state/distinct_sketch.h"
#include "consumers/views/state/quantile_sketch.h"

namespace tidemill::views {
namespace {

template <class Sketch>
std::string bytes(const Sketch& s) {
  std::string out;
  s.encode(out);
  return out;
}

// The sketches of `values` in parts, merged in any order: all must be that of the whole.
template <class Sketch, class T>
void expect_same_however_cut(const std::vector<T>& values, const Sketch& whole, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<Sketch> parts(2 + random() % 7);
  for (const T& v : values) parts[random() % parts.size()].add(v);
  while (parts.size() > 1) {
    std::size_t a = random() % parts.size(), b = random() % parts.size();
    if (a == b) continue;
    Sketch copy;  // as it comes back from the store
    std::string stored = bytes(parts[b]);
    std::string_view in = stored;
    ASSERT_TRUE(copy.decode(in));
    ASSERT_TRUE(in.empty());
    parts[a].merge(copy);
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(b));
  }
  EXPECT_TRUE(bytes(parts[0]) == bytes(whole)) << values.size() << " values, seed " << seed;
}

TEST(DistinctSketch, IsExactUpTo512) {
  std::mt19937_64 random(1);
  DistinctSketch s;
  EXPECT_EQ(s.estimate(), 0u);
  EXPECT_EQ(bytes(s), std::string(1, '\0'));
  for (std::uint64_t n = 1; n <= 512; ++n) {
    auto hash = random();
    s.add(hash);
    s.add(hash);
    ASSERT_EQ(s.estimate(), n);
  }
  EXPECT_EQ(bytes(s).size(), 2 + 512 * 5u);
  s.add(random());
  EXPECT_EQ(bytes(s).size(), 2 + 4096 * 5 / 8u);
  EXPECT_NEAR(static_cast<double>(s.estimate()), 513, 30);
}

// The standard error is 1.6 %: of 40 sketches the mean square must be near that, and none be off by 5 of it.
TEST(DistinctSketch, IsOffByItsStandardError) {
  for (std::uint64_t n : {600u, 3'000u, 10'000u, 100'000u}) {
    double squares = 0;
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
      std::mt19937_64 random(seed * 1'000'003 + n);
      DistinctSketch s;
      for (std::uint64_t i = 0; i < n; ++i) s.add(random());
      double off = static_cast<double>(s.estimate()) / static_cast<double>(n) - 1;
      EXPECT_LT(std::fabs(off), 5 * 0.01625) << n;
      squares += off * off;
    }
    EXPECT_LT(std::sqrt(squares / 40), 0.022) << n;
  }
}

TEST(DistinctSketch, DependsOnTheSetAlone) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    std::mt19937_64 random(seed);
    std::vector<std::uint64_t> values(random() % 1'400);
    for (auto& v : values) v = random() % 3 == 0 ? (random() % 50) << 40 : random();
    DistinctSketch whole;
    for (auto v : values) whole.add(v);
    expect_same_however_cut(values, whole, seed);
  }
}

TEST(DistinctSketch, DamageIsSeen) {
  DistinctSketch s;
  for (std::uint64_t i = 1; i <= 600; ++i) s.add(i * 0x9E3779B97F4A7C15ull);
  std::string good = bytes(s), bad = good;
  bad[100] = static_cast<char>(0xff);  // a register of 31
  bad[101] = static_cast<char>(0xff);
  std::string_view in = bad;
  EXPECT_FALSE(DistinctSketch().decode(in));
  in = std::string_view(good).substr(0, good.size() - 1);
  EXPECT_FALSE(DistinctSketch().decode(in));
  std::string empty(good.size(), '\0');
  empty[0] = good[0];
  empty[1] = good[1];
  in = empty;
  EXPECT_FALSE(DistinctSketch().decode(in));  // registers that no hash has touched
}

// Straight between neighbours, as pandas, DuckDB's quantile_cont and Excel's PERCENTILE.INC do it.
double plain_quantile(std::vector<double> sorted, double fraction) {
  double place = fraction * static_cast<double>(sorted.size() - 1);
  auto low = static_cast<std::size_t>(place);
  if (low + 1 >= sorted.size()) return sorted.back();
  return sorted[low] + (place - static_cast<double>(low)) * (sorted[low + 1] - sorted[low]);
}

constexpr double kFractions[] = {0, 0.001, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1};

TEST(QuantileSketch, IsExactWhileThereAreFewNumbers) {
  std::mt19937_64 random(2);
  QuantileSketch s;
  std::vector<double> sorted;
  for (int i = 0; i < 20'000; ++i) {
    double v = (static_cast<double>(random() % 256) - 100) * 1.37;
    s.add(v);
    sorted.push_back(v);
  }
  std::sort(sorted.begin(), sorted.end());
  for (double f : kFractions) EXPECT_DOUBLE_EQ(s.quantile(f), plain_quantile(sorted, f)) << f;
  QuantileSketch pair;
  pair.add(1);
  EXPECT_EQ(pair.quantile(0.5), 1);
  pair.add(2);
  EXPECT_EQ(pair.quantile(0.5), 1.5);
}

TEST(QuantileSketch, IsWithinItsBoundBeyond) {
  struct {
    double low, high;  // powers of two between which the numbers lie
    double bound;      // of the relative error
  } const kTable[] = {{0, 1, 1.0 / 128}, {-16, 16, 1.0 / 128}, {-30, 33, 1.0 / 64}, {-60, 66, 1.0 / 32}};
  for (const auto& row : kTable) {
    std::mt19937_64 random(3);
    std::uniform_real_distribution<double> power(row.low, row.high);
    QuantileSketch s;
    std::vector<double> sorted;
    for (int i = 0; i < 60'000; ++i) {
      sorted.push_back(std::exp2(power(random)));
      s.add(sorted.back());
    }
    std::sort(sorted.begin(), sorted.end());
    for (double f : kFractions) {
      double want = plain_quantile(sorted, f);
      EXPECT_LE(std::fabs(s.quantile(f) - want), want * row.bound * (1 + 1e-9)) << f << " of 2^" << row.high;
    }
    EXPECT_LE(bytes(s).size(), 2'048 * 4u + 16);
  }
}

TEST(QuantileSketch, NegativeNumbersZeroAndTheLargest) {
  QuantileSketch s;
  std::vector<double> sorted;
  for (int i = -1'000; i <= 1'000; ++i) {
    s.add(i * 0.5);
    sorted.push_back(i * 0.5);
  }
  EXPECT_EQ(s.quantile(0.5), 0);
  for (double f : {0.0, 0.1, 0.3, 0.7, 0.999, 1.0}) {
    double want = plain_quantile(sorted, f);
    EXPECT_NEAR(s.quantile(f), want, std::fabs(want) / 128) << f;
  }
  QuantileSketch all;  // every power of two there is, both signs
  for (int e = -1074; e <= 1023; ++e) {
    for (double part : {1.0, 1.3, 1.7}) {
      all.add(std::ldexp(part, e));
      all.add(-std::ldexp(part, e));
    }
  }
  all.add(std::numeric_limits<double>::max());
  EXPECT_TRUE(std::isfinite(all.quantile(1)));
  EXPECT_GT(all.quantile(1), 1e307);
  EXPECT_LT(all.quantile(0), -1e307);
  EXPECT_LE(bytes(all).size(), 2'048 * 4u);
}

TEST(QuantileSketch, DependsOnTheNumbersAlone) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    std::mt19937_64 random(seed);
    // Few and many, near and far, so that all levels are met on the way.
    std::vector<double> values(seed % 4 == 0 ? 9'000 : random() % 900);
    int far = seed % 3 == 0 ? 900 : 20;
    for (double& v : values) {
      v = std::ldexp(static_cast<double>(random() % 2'000) - 700, static_cast<int>(random() % (2 * far)) - far);
    }
    QuantileSketch whole;
    for (double v : values) whole.add(v);
    expect_same_however_cut(values, whole, seed);
  }
}

}  // namespace
}  // namespace tidemill::views
