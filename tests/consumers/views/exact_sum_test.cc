#include "consumers/views/state/exact_sum.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace tidemill::views {
namespace {

using Limits = std::numeric_limits<double>;

std::string bytes(const ExactSum& s) {
  std::string out;
  s.encode(out);
  return out;
}
// Adds all, in order; the value as text.
std::string sum(std::initializer_list<double> values) {
  ExactSum s;
  for (double v : values) s.add(v);
  Cell c = s.value();
  std::string out;
  append_json(c, out);
  return (c.type() == CellType::integer ? "i" : "r") + out;
}

TEST(ExactSum, IsWrittenWith15Digits) {
  EXPECT_EQ(sum({}), "i0");
  EXPECT_EQ(sum({0.1, 0.2}), "r0.3");
  EXPECT_EQ(sum({22.2, 0.0}), "r22.2");
  EXPECT_EQ(sum({6 * 2.55, 6 * 3.39}), "r35.64");
  EXPECT_EQ(sum({1.5, 1.5}), "i3");
  EXPECT_EQ(sum({-0.0}), "i0");
  EXPECT_EQ(sum({1.0 / 3}), "r0.333333333333333");
}

TEST(ExactSum, NothingIsLostOnTheWay) {
  EXPECT_EQ(sum({1e16, 1, -1e16}), "i1");
  EXPECT_EQ(sum({1e300, 1e-300, -1e300, -1e-300}), "i0");
  EXPECT_EQ(sum({Limits::max(), Limits::max(), -Limits::max(), -Limits::max(), 0.25}), "r0.25");
  EXPECT_EQ(sum({Limits::denorm_min(), Limits::max(), -Limits::max()}), "r5e-324");
  ExactSum s;
  s.add(Limits::max());
  s.add(Limits::max());
  EXPECT_TRUE(std::isinf(s.value().real()));  // beyond what a double holds; halved it comes back
  EXPECT_EQ(s.mean(2).real(), to_15_digits(Limits::max()));
}

TEST(ExactSum, IntegersStayExactTo64Bits) {
  ExactSum s;
  s.add(std::int64_t{9007199254740993});  // 2^53 + 1: no double
  EXPECT_EQ(s.value().integer(), 9007199254740993);
  s.add(std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(s.value().type(), CellType::real);
  s.add(-std::int64_t{9007199254740993});
  EXPECT_EQ(s.value().integer(), std::numeric_limits<std::int64_t>::max());
  ExactSum low;
  low.add(std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(low.value().integer(), std::numeric_limits<std::int64_t>::min());
  low.add(std::int64_t{-1});
  EXPECT_EQ(low.value().type(), CellType::real);
  low.add(std::int64_t{1});
  EXPECT_EQ(low.value().integer(), std::numeric_limits<std::int64_t>::min());
}

TEST(ExactSum, AgreesWithWideIntegers) {
  // Multiples of 2^-40 below 2^60: their sum fits 128 bits, worked out here the plain way.
  std::mt19937_64 random(1);
  for (int round = 0; round < 300; ++round) {
    ExactSum s;
    __int128 plain = 0;
    int n = 1 + static_cast<int>(random() % 200);
    for (int i = 0; i < n; ++i) {
      auto mantissa = static_cast<std::int64_t>(random() >> 11) - (std::int64_t{1} << 52);
      int shift = static_cast<int>(random() % 47);
      s.add(std::ldexp(static_cast<double>(mantissa), shift - 40));
      plain += static_cast<__int128>(mantissa) << shift;
    }
    // The nearest double of an integer of up to 128 bits: g++ rounds to nearest even.
    double want = std::ldexp(static_cast<double>(plain), -40);
    EXPECT_EQ(s.mean(1).type() == CellType::integer ? static_cast<double>(s.mean(1).integer()) : s.mean(1).real(),
              to_15_digits(want));
    double mean = static_cast<double>(std::ldexp(static_cast<long double>(plain) / n, -40));
    Cell got = s.mean(static_cast<std::uint64_t>(n));
    EXPECT_EQ(got.type() == CellType::integer ? static_cast<double>(got.integer()) : got.real(), to_15_digits(mean));
  }
}

TEST(ExactSum, BytesDependOnTheValueOnly) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 300; ++round) {
    std::vector<double> values(random() % 30);
    for (double& v : values)
      v = std::ldexp(static_cast<double>(random() >> 11) - 4e15, static_cast<int>(random() % 2000) - 1040);
    std::erase_if(values, [](double v) { return !std::isfinite(v); });
    ExactSum forward, backward, halves[2];
    for (double v : values) forward.add(v);
    for (std::size_t i = values.size(); i-- > 0;) backward.add(values[i]);
    for (double v : values) halves[random() % 2].add(v);
    halves[1].add(halves[0]);
    EXPECT_EQ(bytes(forward), bytes(backward));
    EXPECT_EQ(bytes(forward), bytes(halves[1]));
    for (double v : values) forward.add(-v);
    EXPECT_EQ(bytes(forward), std::string(1, '\0'));  // taken away again, nothing is left
  }
}

TEST(ExactSum, ValuesGoInAndComeOut) {
  for (double v : {0.5, -0.5, 1.25e-200, -7e250, 123456.789, -1.0, Limits::min(), -Limits::denorm_min()}) {
    ExactSum s;
    s.add(v);
    Cell c = s.value();
    EXPECT_EQ(c.type() == CellType::integer ? static_cast<double>(c.integer()) : c.real(), to_15_digits(v)) << v;
    std::string b = bytes(s);
    std::string_view in = b;
    ExactSum back;
    ASSERT_TRUE(back.decode(in));
    EXPECT_EQ(bytes(back), b);
  }
}

// Numbers below 2^30 with 20 bits below the point: all that a variance needs fits wide integers.
TEST(ExactSum, SpreadAgreesWithWideIntegers) {
  std::mt19937_64 random(4);
  for (int round = 0; round < 300; ++round) {
    ExactSum sum, squares;
    __int128 plain = 0, plain_squares = 0;
    auto n = 2 + random() % 100;
    std::int64_t around = static_cast<std::int64_t>(random() >> 24) - (1ll << 39);
    for (std::uint64_t i = 0; i < n; ++i) {
      std::int64_t v = around + static_cast<std::int64_t>(random() % 5000);
      sum.add(std::ldexp(static_cast<double>(v), -20));
      squares.add_square(std::ldexp(static_cast<double>(v), -20));
      plain += v;
      plain_squares += static_cast<__int128>(v) * v;
    }
    auto above = static_cast<__int128>(n) * plain_squares - plain * plain;
    long double want = static_cast<long double>(above) / static_cast<long double>(n) / static_cast<long double>(n - 1);
    want = std::ldexp(want, -40);
    auto as_double = [](Cell c) { return c.type() == CellType::integer ? static_cast<double>(c.integer()) : c.real(); };
    EXPECT_EQ(as_double(ExactSum::spread(sum, squares, n, n - 1, false)), to_15_digits(static_cast<double>(want)));
    EXPECT_EQ(as_double(ExactSum::spread(sum, squares, n, n - 1, true)),
              to_15_digits(static_cast<double>(std::sqrt(want))));
  }
}

TEST(ExactSum, SquaresReachAsFarAsDoubles) {
  ExactSum s;
  for (double v : {Limits::max(), Limits::denorm_min(), -Limits::max(), 3.0}) s.add_square(v);
  s.add_square(std::numeric_limits<std::int64_t>::min());
  std::string b;
  s.encode(b, ExactSum::Of::squares);
  std::string_view in = b;
  ExactSum back;
  ASSERT_TRUE(back.decode(in, ExactSum::Of::squares));
  EXPECT_TRUE(in.empty());
  std::string again;
  back.encode(again, ExactSum::Of::squares);
  EXPECT_EQ(again, b);
  in = b;
  EXPECT_FALSE(ExactSum().decode(in));  // a sum of numbers does not reach that far
}

}  // namespace
}  // namespace tidemill::views
