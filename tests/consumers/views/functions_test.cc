#include <gtest/gtest.h>

#include "consumers/views/timestamp.h"
#include "tests/consumers/views/memory_view.h"

namespace tidemill::views {
namespace {

std::string id(Cell x) {
  std::string buffer;
  auto out = ident(x, buffer);
  return out ? std::string(*out) : "NULL";
}
std::string ts(Cell x) {
  char out[kTimestampBytes];
  return timestamp(x, out) ? std::string(out, kTimestampBytes) : "NULL";
}
std::string num(std::string_view x) {
  auto n = number(Cell::text(x));
  return n ? text({to_value(*n)}) : "error";
}

TEST(Ident, OneSpellingForOneThing) {
  EXPECT_EQ(id(Cell::integer(17850)), "17850");
  EXPECT_EQ(id(Cell::real(17850.0)), "17850");
  for (const char* s : {"17850", "17850.0", "17850.00", " 17850 ", "17850\r\n"})
    EXPECT_EQ(id(Cell::text(s)), "17850") << s;
  EXPECT_EQ(id(Cell::text("-5.0")), "-5");
  // Not touched: zeros in front say something, and so does everything that is no integer.
  for (const char* s : {"00123", "C536379", "1.5", "1.50", ".0", "a.0", "1.2.0", "-.0", "0", "100"})
    EXPECT_EQ(id(Cell::text(s)), s);
  EXPECT_EQ(id(Cell::real(1.5)), "1.5");
  EXPECT_EQ(id(Cell()), "NULL");
  EXPECT_EQ(id(Cell::text("")), "NULL");
  EXPECT_EQ(id(Cell::text("  ")), "NULL");
}

TEST(Timestamp, KnownSpellings) {
  struct {
    const char* in;
    const char* out;
  } const table[] = {
      {"12/1/2010 8:26", "2010-12-01T08:26:00"},
      {"1/13/2011 18:05:09", "2011-01-13T18:05:09"},
      {"12/9/2011", "2011-12-09T00:00:00"},
      {"02/03/2011  08:26", "2011-02-03T08:26:00"},
      {"12/9/2011 8:26 PM", "2011-12-09T20:26:00"},
      {"12/9/2011 12:05:01am", "2011-12-09T00:05:01"},
      {"2011-12-09", "2011-12-09T00:00:00"},
      {"2011-12-09T12:50", "2011-12-09T12:50:00"},
      {"2011-12-09 12:50:07", "2011-12-09T12:50:07"},
      {"2011-12-09T12:50:07.999Z", "2011-12-09T12:50:07"},
      {" 2011-12-09t12:50:07z ", "2011-12-09T12:50:07"},
      {"2011-12-09T00:30:00+01:00", "2011-12-08T23:30:00"},
      {"2011-12-31 23:30:00 -0130", "2012-01-01T01:00:00"},
      {"2012-02-29T10:00:00-05", "2012-02-29T15:00:00"},
      {"20111209T125007Z", "2011-12-09T12:50:07"},
      {"20111209T1250", "2011-12-09T12:50:00"},
      {"20111209", "2011-12-09T00:00:00"},
      {"1323435000", "2011-12-09T12:50:00"},
      {"1323435000123", "2011-12-09T12:50:00"},
      {"1323435000.75", "2011-12-09T12:50:00"},
  };
  for (const auto& row : table) EXPECT_EQ(ts(Cell::text(row.in)), row.out) << row.in;
  EXPECT_EQ(ts(Cell::integer(0)), "1970-01-01T00:00:00");
  EXPECT_EQ(ts(Cell::integer(-1)), "1969-12-31T23:59:59");
  EXPECT_EQ(ts(Cell::integer(1323435000)), "2011-12-09T12:50:00");
  EXPECT_EQ(ts(Cell::real(1323435000123.5)), "2011-12-09T12:50:00");
  EXPECT_EQ(ts(Cell::integer(-62'167'219'200)), "0000-01-01T00:00:00");
}

TEST(Timestamp, UnknownIsNull) {
  for (const char* s : {"",
                        "now",
                        "13/1/2010 8:26",
                        "2/29/2011",
                        "2011-02-29",
                        "2011-13-01",
                        "2011-12-09T24:00:00",
                        "2011-12-09T12:60",
                        "2011-12-09T12:50:60",
                        "9.12.2011",
                        "12/9/11",
                        "2011-12-09T12:50:00 Europe/Berlin",
                        "12/9/2011 13:00 PM",
                        "2011-12-09T",
                        "2011-12-09T1:50",
                        "12/9/2011 8",
                        "yesterday evening",
                        "123",
                        "2011-12-09T12:50:00+25:00",
                        "0000-01-01T00:00:00+01:00"}) {
    EXPECT_EQ(ts(Cell::text(s)), "NULL") << s;
  }
  EXPECT_EQ(ts(Cell()), "NULL");
  EXPECT_EQ(ts(Cell::real(1e30)), "NULL");
  EXPECT_EQ(ts(Cell::integer(999'999'999'999'999)), "NULL");  // the year 33658
}

TEST(Number, IsANumberOrAnError) {
  EXPECT_EQ(num("12"), "12");
  EXPECT_EQ(num(" -2.50 "), "-2.5");
  EXPECT_EQ(num("1e3"), "1000");
  EXPECT_EQ(num("007"), "7");
  EXPECT_EQ(num("9223372036854775807"), "9223372036854775807");
  EXPECT_EQ(num("18446744073709551615"), "1.84467440737096e+19");
  for (const char* s : {"", " ", "3 eggs", "eggs", "1,5", "1.", ".5", "0x10", "+1", "1e", "nan", "inf", "1e999", "--1"})
    EXPECT_EQ(num(s), "error") << s;
  EXPECT_TRUE(number(Cell())->is_null());
}

TEST(Functions, InSql) {
  Records r;
  r.add(R"({"id":17850,"at":"12/1/2010 8:26","n":"2.5"})")
      .add(R"({"id":"17850.0","at":1291191960,"n":1})")
      .add(R"({"id":17850.0,"at":null,"n":"3 eggs"})");
  MemoryView view(
      "SELECT ident(id) AS id, min(timestamp(at)) AS first, count(DISTINCT timestamp(at)) AS times, sum(number(n)) AS "
      "s FROM t GROUP BY 1");
  view.apply(r.all());
  EXPECT_EQ(texts(view.rows()), std::vector<std::string>{"17850|2010-12-01T08:26:00|1|3.5"});
  EXPECT_EQ(view.parked, std::vector<std::string>{"3: number() was given text that is not a number"});
}

}  // namespace
}  // namespace tidemill::views
