#include "storage/base/time.h"

#include <gtest/gtest.h>

namespace tidemill {
namespace {

TEST(Time, WritesUtcWithMilliseconds) {
  EXPECT_EQ(format_rfc3339(WallTime(std::chrono::milliseconds(1323435000123))), "2011-12-09T12:50:00.123Z");
  EXPECT_EQ(format_basic(WallTime(std::chrono::milliseconds(1323435000123))), "20111209T125000Z");
}

TEST(Time, ReadsWhatItWrites) {
  for (const long long ms : {0LL, 1LL, 951782399999LL, 1323435000123LL, 253402300799999LL})
    EXPECT_EQ(parse_rfc3339(format_rfc3339(WallTime(std::chrono::milliseconds(ms)))),
              WallTime(std::chrono::milliseconds(ms)));
}

TEST(Time, ReadsOffsetsAndFractions) {
  EXPECT_EQ(parse_rfc3339("2011-12-09T13:50:00+01:00"), WallTime(std::chrono::milliseconds(1323435000000)));
  EXPECT_EQ(parse_rfc3339("2011-12-09T12:50:00.1239999Z"), WallTime(std::chrono::milliseconds(1323435000123)));
}

TEST(Time, RefusesWhatIsNoTime) {
  for (const char* bad : {"", "2011-12-09", "2011-02-30T00:00:00Z", "2011-12-09T24:00:00Z", "2011-12-09T12:50:00",
                          "2011-12-09T12:50:00.Z", "2011-12-09T12:50:00Zx", "2011-12-09T12:50:00+99:00"})
    EXPECT_FALSE(parse_rfc3339(bad)) << bad;
}

}  // namespace
}  // namespace tidemill
