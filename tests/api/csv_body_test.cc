// A few bytes of CSV may be a lot of JSON, or of work: it ends where the limits of a request are.
#include "api/ingest/csv_body.h"

#include <gmock/gmock.h>

namespace tidemill {
namespace {

using testing::HasSubstr;

CsvBody read(std::string_view text, const CsvLimits& limits = {}, const csv::FieldTypes& types = {}) {
  return read_csv_body(text, csv::Encoding::utf8, types, limits);
}

std::string times(std::size_t n, std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < n; ++i) out += text;
  return out;
}

TEST(CsvBody, JsonIsBoundedThoughTheNamesAreWrittenForEachRow) {
  const std::string names = std::string(4'000, 'a') + "," + std::string(4'000, 'b') + "\n";
  const CsvLimits limits{.json_bytes = 1 << 20};
  const CsvBody fits = read(names + times(100, "1,2\n"), limits);
  EXPECT_FALSE(fits.refused) << fits.why;
  EXPECT_EQ(fits.index.size(), 100u);
  const CsvBody large = read(names + times(150'000, "1,2\n"), limits);
  EXPECT_EQ(large.refused, ErrorId::body_too_large);
  EXPECT_THAT(large.why, HasSubstr("limits.body"));
  EXPECT_EQ(large.ndjson.capacity(), std::string().capacity()) << "nothing is kept";
  // What is made of a row that is then refused is work all the same.
  const csv::FieldTypes number{{std::string(4'000, 'b'), FieldType::number}};
  EXPECT_EQ(read(names + times(150, "1,x\n"), limits, number).refused, ErrorId::body_too_large);
  EXPECT_EQ(read(names + times(150, "1,\xff\n"), limits).refused, ErrorId::body_too_large);
}

TEST(CsvBody, ANameIsNotLongerThanOneIs) {
  EXPECT_FALSE(read(std::string(4'096, 'a') + "\n1\n").refused);
  const CsvBody read_long = read("b," + std::string(4'097, 'a') + "\n1,2\n");
  EXPECT_EQ(read_long.refused, ErrorId::invalid_body);
  EXPECT_THAT(read_long.why, HasSubstr("The name of column 2 is longer than 4,096 bytes"));
}

TEST(CsvBody, RowsCountWhetherTakenOrNot) {
  const CsvLimits limits{.rows = 1'000};
  const CsvBody most = read("a\n" + times(500, "1\n1,2\n"), limits);
  EXPECT_FALSE(most.refused);
  EXPECT_EQ(most.index.size(), 500u);
  EXPECT_EQ(most.rejected.size(), 500u);
  EXPECT_EQ(most.rejected.back().index, 999u);
  for (const char* row : {"1\n", "1,2\n", "\"1\"x\n"}) {
    const CsvBody body = read("a\n" + times(1'001, row), limits);
    EXPECT_EQ(body.refused, ErrorId::too_many_records) << row;
    EXPECT_TRUE(body.rejected.empty());
  }
}

// Each line opens a quote that none of those behind it closes.
TEST(CsvBody, QuotesThatAreNeverClosedAreReadAFewTimes) {
  constexpr std::string_view kOpen = "\",\"x\",\"\n";
  const CsvLimits limits{.row_bytes = 100'000};
  const CsvBody slips = read("a\n" + times(5, kOpen), limits);
  EXPECT_FALSE(slips.refused) << slips.why;
  EXPECT_EQ(slips.rejected.size(), 5u);
  const CsvBody body = read("a\n" + times(100'000, kOpen), limits);
  EXPECT_EQ(body.refused, ErrorId::invalid_body);
  EXPECT_THAT(body.why, HasSubstr("a quote that is never closed"));
  // Slips cost a row each: they are far apart.
  std::string text = "a\n";
  for (int i = 0; i < 10; ++i) text += "\"slip\n" + times(10'000, "1\n");
  const CsvBody far = read(text, limits);
  EXPECT_FALSE(far.refused) << far.why;
}

TEST(CsvBody, AMillionFieldsOfARowAreNotKept) {
  csv::Reader reader({.row_bytes_max = 4 << 20});
  const std::string commas(2 << 20, ',');
  std::string_view input = commas;
  csv::Row row;
  EXPECT_EQ(reader.next(input, true, row), csv::Outcome::bad_row);
  EXPECT_EQ(row.problem, csv::Problem::too_many_columns);
  EXPECT_LT(row.fields.capacity(), 20'000u);
  EXPECT_EQ(reader.scanned(), commas.size());
}

}  // namespace
}  // namespace tidemill
