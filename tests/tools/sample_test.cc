#include "tools/cli/sample/generator.h"

#include <gtest/gtest.h>

#include <set>

#include "engine/csv/objects.h"
#include "tools/cli/load/input.h"

namespace tidemill::cli {
namespace {

std::string make(std::uint64_t rows, std::uint64_t seed) {
  SampleGenerator generator(seed);
  std::string out(SampleGenerator::header());
  for (std::uint64_t i = 0; i < rows; ++i) generator.append_row(out);
  return out;
}

std::string hash(const std::string& text) {
  RunningHash h;
  h.add(text);
  return h.hex();
}

// These bytes never change: people compare results made from them.
TEST(Sample, TheSameBytesForEver) {
  EXPECT_EQ(hash(make(10'000, 1)), "9aca598d7b4f0945255b2bb01d6682815e21483510fd6d2209dec303bf36ebd5");
  EXPECT_EQ(hash(make(1'000, 18'446'744'073'709'551'615ull)),
            "967852b09d84ad1e0cd5aed3fc2cf94fca4ae927290645f3feec0430beaeabbb");
}

TEST(Sample, FewerRowsAreTheBeginningOfMore) {
  const std::string few = make(500, 7);
  EXPECT_EQ(make(2'000, 7).substr(0, few.size()), few);
  EXPECT_NE(make(500, 8), few);
}

// What makes it a fair stand-in for the real data.
TEST(Sample, HasTheTrapsOfRealData) {
  const std::string text = make(50'000, 3);
  csv::ObjectReader reader({}, csv::Encoding::utf8,
                           {{"Quantity", FieldType::integer}, {"UnitPrice", FieldType::number}});
  std::string_view rest = text;
  std::string object;
  std::uint64_t rows = 0, cancelled = 0, nobody = 0, quotes = 0, beyond_ascii = 0, trailing = 0, twice = 0,
                nameless = 0;
  std::set<std::string> invoices, seen;
  while (true) {
    object.clear();
    const auto outcome = reader.next(rest, true, object);
    if (outcome == csv::ObjectReader::Outcome::end) break;
    ASSERT_EQ(outcome, csv::ObjectReader::Outcome::object) << reader.error().message;
    const auto& f = reader.row().fields;
    ASSERT_EQ(f.size(), 8u);
    ++rows;
    invoices.insert(std::string(f[0]));
    const bool back = f[0].starts_with('C');
    EXPECT_EQ(f[3].starts_with('-'), back);
    cancelled += back;
    nobody += f[6].empty();
    quotes += f[2].find('"') != f[2].npos;
    trailing += f[2].ends_with(' ');
    nameless += f[2].empty();
    for (const char c : f[2]) beyond_ascii += static_cast<unsigned char>(c) >= 0x80;
    twice += !seen.insert(object).second;
  }
  EXPECT_EQ(rows, 50'000u);
  EXPECT_GT(invoices.size(), 1'000u);
  EXPECT_LT(invoices.size(), 10'000u);
  for (const std::uint64_t n : {cancelled, nobody, quotes, beyond_ascii, trailing, twice, nameless}) EXPECT_GT(n, 20u);
  EXPECT_LT(cancelled, rows / 10);
}

}  // namespace
}  // namespace tidemill::cli
