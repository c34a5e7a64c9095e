#include "consumers/views/key.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "tests/consumers/views/memory_view.h"

namespace tidemill::views {
namespace {

std::string encoded(std::initializer_list<Value> terms) {
  std::string out;
  for (const Value& v : terms) encode_key(canonical(to_cell(v)), out);
  return out;
}

std::vector<Value> interesting() {
  std::vector<Value> out{Value()};
  for (std::int64_t i : {std::int64_t{0},
                         std::int64_t{1},
                         std::int64_t{-1},
                         std::int64_t{255},
                         std::int64_t{256},
                         (std::int64_t{1} << 53) - 1,
                         std::int64_t{1} << 53,
                         (std::int64_t{1} << 53) + 1,
                         (std::int64_t{1} << 53) + 2,
                         -(std::int64_t{1} << 53) - 1,
                         std::int64_t{1'000'000'000'000'000'000},
                         std::int64_t{1'000'000'000'000'000'001},
                         std::numeric_limits<std::int64_t>::max(),
                         std::numeric_limits<std::int64_t>::max() - 1,
                         std::numeric_limits<std::int64_t>::max() - 511,
                         std::numeric_limits<std::int64_t>::max() - 512,
                         std::numeric_limits<std::int64_t>::max() - 513,
                         std::numeric_limits<std::int64_t>::min(),
                         std::numeric_limits<std::int64_t>::min() + 1,
                         std::numeric_limits<std::int64_t>::min() + 513}) {
    out.emplace_back(i);
  }
  for (double d :
       {0.5, -0.5, 1.5, 9007199254740994.0, 1e18, 9223372036854775808.0, -9223372036854775808.0, 9223372036854774784.0,
        1e300, -1e300, 5e-324, std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()}) {
    out.emplace_back(d);
  }
  using namespace std::string_literals;
  for (const auto& s :
       {""s, "\0"s, "\0\0"s, "\0\1"s, "\1"s, "a"s, "a\0"s, "a\0b"s, "a\xFF"s, "ab"s, "b"s, "\xFF"s, "\xFF\0"s})
    out.emplace_back(s);
  return out;
}

TEST(Key, BytesAreOrderedAsSqlOrdersValues) {
  auto values = interesting();
  for (const Value& a : values) {
    for (const Value& b : values) {
      int want = compare(canonical(to_cell(a)), canonical(to_cell(b)));
      int got = encoded({a}).compare(encoded({b}));
      EXPECT_EQ(want < 0, got < 0) << text({a}) << " and " << text({b});
      EXPECT_EQ(want == 0, got == 0) << text({a}) << " and " << text({b});
      // Another term behind changes nothing.
      if (want == 0) continue;
      EXPECT_EQ(want < 0, encoded({a, Value("z")}) < encoded({b, Value()}));
    }
  }
}

TEST(Key, ComparingIsAnOrder) {
  auto values = interesting();
  std::erase_if(values, [](const Value& v) { return v.index() == 0; });
  for (const Value& a : values) {
    for (const Value& b : values) {
      int order = compare(canonical(to_cell(a)), canonical(to_cell(b)));
      int back = compare(canonical(to_cell(b)), canonical(to_cell(a)));
      EXPECT_EQ(order, -back);
      if (a.index() != 1 || b.index() != 1) continue;
      EXPECT_EQ(order < 0, std::get<1>(a) < std::get<1>(b));
    }
  }
}

TEST(Key, ComesBack) {
  for (const Value& a : interesting()) {
    for (const Value& b : {Value(), Value(std::int64_t{7}), Value("x")}) {
      Row row;
      ASSERT_TRUE(decode_key(encoded({a, b}), 2, row));
      Value want = to_value(canonical(to_cell(a)));
      EXPECT_EQ(row, (Row{want, b})) << text({a});
    }
  }
  std::mt19937_64 random(1);
  for (int i = 0; i < 20'000; ++i) {
    Value v = random() % 2
                  ? Value(static_cast<std::int64_t>(random() >> random() % 64))
                  : Value(std::ldexp(static_cast<double>(random() >> 11), static_cast<int>(random() % 100) - 60));
    Row row;
    ASSERT_TRUE(decode_key(encoded({v}), 1, row));
    EXPECT_EQ(row[0], to_value(canonical(to_cell(v))));
  }
}

TEST(Key, PrefixOfText) {
  std::string prefix;
  encode_key_prefix("C53", prefix);
  EXPECT_TRUE(encoded({"C536379", "x"}).starts_with(prefix));
  EXPECT_TRUE(encoded({"C53"}).starts_with(prefix));
  EXPECT_FALSE(encoded({"C5"}).starts_with(prefix));
}

TEST(Key, OtherBytesAreRefused) {
  Row row;
  std::string key = encoded({"ab", Value(std::int64_t{5}), Value()});
  for (std::size_t n = 0; n < key.size(); ++n) EXPECT_FALSE(decode_key(key.substr(0, n), 3, row)) << n;
  EXPECT_FALSE(decode_key(key + "x", 3, row));
  EXPECT_FALSE(decode_key(std::string(1, '\0'), 1, row));
  std::mt19937 random(1);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes(random() % 24, '\0');
    for (char& c : bytes) c = "\x10\x20\x30\x01\xFF\x80"[random() % 7];
    if (decode_key(bytes, 2, row)) {
      std::string again;
      for (const Value& v : row) encode_key(canonical(to_cell(v)), again);
      EXPECT_EQ(again, bytes);
    }
  }
}

TEST(Key, AKeyIsFoundInFrontOfOtherBytes) {
  const std::string zero("a\0b", 3);
  for (const Row& row : {Row{}, Row{Value()}, Row{Value(std::int64_t{7}), Value(zero)}, Row{Value(zero), Value(1.5)},
                         Row{Value(std::string()), Value(), Value(std::string("x"))}}) {
    std::string key;
    for (const Value& v : row) encode_key(canonical(to_cell(v)), key);
    EXPECT_EQ(key_in_front(key + "behind", row.size()), key);
    for (std::size_t i = 0; i < key.size(); ++i) EXPECT_EQ(key_in_front(key.substr(0, i), row.size()), "") << i;
  }
}

}  // namespace
}  // namespace tidemill::views
