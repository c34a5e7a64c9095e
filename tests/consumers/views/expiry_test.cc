#include "consumers/views/expiry.h"

#include <gtest/gtest.h>

#include "storage/base/time.h"

namespace tidemill::views {
namespace {

std::int64_t ms(const std::string& time) {
  return parse_rfc3339(time)->time_since_epoch().count();
}

TEST(TimeSpans, AreANumberAndAUnit) {
  constexpr std::int64_t hour = 3'600'000;
  const std::pair<const char*, std::int64_t> good[] = {
      {"1 second", 1'000}, {"90m", 90 * 60'000},    {"12 HOURS", 12 * hour}, {"30 days", 720 * hour},
      {"1day", 24 * hour}, {"2 weeks", 336 * hour}, {"5  s", 5'000},         {"36525d", 876'600 * hour}};
  for (const auto& [text, length] : good) {
    const auto span = read_time_span(text);
    ASSERT_TRUE(span) << text;
    EXPECT_EQ(span->ms, length) << text;
    EXPECT_EQ(span->months, 0u);
    EXPECT_EQ(span->text, text);
  }
  EXPECT_EQ(read_time_span("3 months")->months, 3u);
  EXPECT_EQ(read_time_span("2 years")->months, 24u);
  for (const char* text : {"", "day", "0 days", "-1 day", "1", "1.5 hours", "1 dayss", "1 d s", "1 moon", "36526 days",
                           "4294967295 weeks", "4294967296 s", "1201 months", "101 years", "30 days "})
    EXPECT_FALSE(read_time_span(text)) << text;
}

TEST(Expiry, AWindowsDeadlineIsItsEndAndTheTimeAfterThat) {
  Expiry days;
  days.window = 0;
  days.size = *read_time_span("1 day");
  days.after = *read_time_span("2 hours");
  const auto end = ms("2026-03-02T02:00:00Z");
  for (const char* begin : {"2026-03-01", "2026-03-01T00:00:00", "2026-03-01 00:00", "2026-03-01 00", "2026-03"})
    EXPECT_EQ(days.deadline_of(Cell::text(begin)), end) << begin;
  EXPECT_EQ(days.deadline_of(Cell::integer(ms("2026-03-01T00:00:00Z") / 1000)), end);
  EXPECT_EQ(days.deadline_of(Cell::integer(ms("2026-03-01T00:00:00Z"))), end);
  for (const char* text : {"", "now", "2026-02-30", "2026-9", "x"})
    EXPECT_FALSE(days.deadline_of(Cell::text(text))) << text;
  EXPECT_FALSE(days.deadline_of(Cell()));

  Expiry months;
  months.window = 0;
  months.size = *read_time_span("1 month");
  EXPECT_EQ(months.deadline_of(Cell::text("2024-02")), ms("2024-03-01T00:00:00Z"));
  EXPECT_EQ(months.deadline_of(Cell::text("2024-01-31")), ms("2024-02-29T00:00:00Z")) << "the month is shorter";
  EXPECT_EQ(months.deadline_of(Cell::text("2024-12")), ms("2025-01-01T00:00:00Z"));
  months.size = *read_time_span("1 year");
  EXPECT_EQ(months.deadline_of(Cell::text("2024")), ms("2025-01-01T00:00:00Z"));
  EXPECT_EQ(months.deadline_of(Cell::text("1960")), ms("1961-01-01T00:00:00Z"));
}

TEST(Expiry, ABucketIsNotBeforeTheDeadlineAndLessThanA64thBehindIt) {
  Expiry ttl;
  for (const char* text : {"1 second", "90 seconds", "30 days"}) {
    ttl.after = *read_time_span(text);
    const std::int64_t width = std::max<std::int64_t>(1'000, ttl.after.ms / 64);
    for (std::int64_t deadline = 1'700'000'000'000; deadline < 1'700'000'000'000 + 7 * width;
         deadline += width / 5 + 1) {
      const std::int64_t bucket = ttl.bucket(deadline);
      EXPECT_GE(bucket, deadline);
      EXPECT_LT(bucket, deadline + width);
      EXPECT_EQ(ttl.bucket(bucket), bucket);
    }
  }
  ttl.window = 0;
  EXPECT_EQ(ttl.bucket(1'700'000'000'123), 1'700'000'000'123);
}

}  // namespace
}  // namespace tidemill::views
