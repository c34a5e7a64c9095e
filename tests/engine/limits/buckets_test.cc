#include <gtest/gtest.h>

#include <random>

#include "engine/json/writer.h"
#include "engine/limits/meter.h"
#include "engine/limits/quota.h"
#include "engine/limits/token_bucket.h"

namespace tidemill {
namespace {

using namespace std::chrono_literals;
using ns = std::chrono::nanoseconds;

MonotonicTime at(ns t) {
  return MonotonicTime(1000s + t);
}

TEST(TokenBucket, BeginsFullAndFillsAtItsRate) {
  TokenBucket bucket;
  const Rate rate{10, 20};
  EXPECT_EQ(bucket.left(rate, at(0s)), 20u);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(bucket.wait(rate, at(0s), 1), 0ns) << i;
    bucket.take(rate, at(0s), 1);
  }
  EXPECT_EQ(bucket.left(rate, at(0s)), 0u);
  EXPECT_EQ(bucket.wait(rate, at(0s), 1), 100ms);
  EXPECT_EQ(bucket.wait(rate, at(0s), 5), 500ms);
  EXPECT_EQ(bucket.wait(rate, at(99'999'999ns), 1), 1ns);
  EXPECT_EQ(bucket.wait(rate, at(100ms), 1), 0ns);
  EXPECT_EQ(bucket.left(rate, at(1s)), 10u);
  EXPECT_EQ(bucket.left(rate, at(1h)), 20u);  // never above the burst
  EXPECT_EQ(bucket.until_full(rate, at(1s)), 1s);
}

TEST(TokenBucket, WhatIsGivenBackIsThereAgain) {
  TokenBucket bucket;
  const Rate rate{3, 3};
  bucket.take(rate, at(0s), 3);
  bucket.give_back(2);
  EXPECT_EQ(bucket.wait(rate, at(0s), 2), 0ns);
  EXPECT_GT(bucket.wait(rate, at(0s), 3), 0ns);
}

// A request above the burst passes when the bucket is full, and is paid for afterwards.
TEST(TokenBucket, MoreThanTheBurstLeavesADebt) {
  TokenBucket bucket;
  const Rate rate{100, 100};
  EXPECT_EQ(bucket.wait(rate, at(0s), 1'000), 0ns);
  bucket.take(rate, at(0s), 1'000);
  EXPECT_EQ(bucket.left(rate, at(0s)), 0u);
  EXPECT_EQ(bucket.wait(rate, at(0s), 1), 9'010ms);
  EXPECT_EQ(bucket.wait(rate, at(9'010ms), 1), 0ns);
  EXPECT_EQ(bucket.wait(rate, at(9'010ms), 1'000), 990ms);  // only a full one lets it pass
}

TEST(TokenBucket, ExtremesDoNotOverflow) {
  TokenBucket bucket;
  const Rate slow{1, 86'400};
  EXPECT_EQ(bucket.wait(slow, at(0s), kMostMax), 0ns);
  bucket.take(slow, at(0s), kMostMax);
  EXPECT_GT(bucket.wait(slow, at(0s), 1), 24h * 365 * 29);
  TokenBucket fast;
  const Rate most{kRateMax, kRateMax * 86'400};
  fast.take(most, at(0s), kRateMax * 86'400);
  EXPECT_EQ(fast.left(most, at(0s)), 0u);
  EXPECT_EQ(fast.wait(most, at(0s), 1), 1ns);
}

// A burst is a burst, also where a token's time is no whole number of nanoseconds.
TEST(TokenBucket, TheWholeBurstIsThere) {
  for (const std::uint64_t n : {3ull, 7ull, 15ull, 1'001ull}) {
    TokenBucket bucket;
    const Rate rate{n, n};
    for (std::uint64_t i = 0; i < n; ++i) {
      ASSERT_EQ(bucket.wait(rate, at(0s), 1), 0ns);
      bucket.take(rate, at(0s), 1);
    }
    EXPECT_GT(bucket.wait(rate, at(0s), 1), 0ns);
    EXPECT_EQ(bucket.left(rate, at(1s)), n);
  }
}

// Against what the words say, at random: in no window more than rate * t + burst; and whoever asks again and again gets
// all of it.
TEST(TokenBucket, NeverMoreThanTheRateAndNeverLessWhenAskedGreedily) {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    std::mt19937_64 random(seed);
    const auto from_to = [&](std::uint64_t a, std::uint64_t b) { return a + random() % (b - a + 1); };
    const Rate rate{from_to(1, seed % 2 ? 20 : 5'000'000), 0};
    const Rate with_burst{rate.per_second, from_to(1, rate.per_second * 3)};
    const std::uint64_t most = std::min<std::uint64_t>(with_burst.burst, from_to(1, with_burst.burst));
    const bool greedy = seed % 3 == 0;
    TokenBucket bucket;
    ns now{0};
    std::vector<std::pair<ns, std::uint64_t>> passed;
    std::uint64_t sum = 0;
    for (int i = 0; i < 400; ++i) {
      const std::uint64_t amount = from_to(1, most);
      ns wait = bucket.wait(with_burst, at(now), amount);
      if (greedy) {
        now += wait;
        wait = bucket.wait(with_burst, at(now), amount);
        ASSERT_EQ(wait, 0ns) << "seed " << seed;
      } else if (from_to(0, 3) == 0) {
        now += ns(from_to(0, 2'000'000'000));
      }
      if (wait != 0ns) continue;
      bucket.take(with_burst, at(now), amount);
      passed.emplace_back(now, amount);
      sum += amount;
    }
    for (std::size_t a = 0; a < passed.size(); ++a) {
      std::uint64_t in_window = 0;
      for (std::size_t b = a; b < passed.size(); ++b) {
        in_window += passed[b].second;
        const auto t = static_cast<std::uint64_t>((passed[b].first - passed[a].first).count());
        __extension__ using Wide = unsigned __int128;
        const bool too_much =
            Wide(in_window) * 1'000'000'000 > Wide(rate.per_second) * t + Wide(with_burst.burst) * 1'000'000'000;
        ASSERT_FALSE(too_much) << "seed " << seed << ", window " << a << " to " << b;
      }
    }
    if (greedy) {
      // All that has come, but for what waits of a nanosecond each time can bring, is gone or in the bucket.
      const double earned = static_cast<double>(now.count()) / 1e9 * static_cast<double>(rate.per_second);
      EXPECT_GE(static_cast<double>(sum + bucket.left(with_burst, at(now))) + 1,
                earned * (1 - 1e-12) + static_cast<double>(with_burst.burst))
          << "seed " << seed;
    }
  }
}

Moment moment(const char* wall, ns monotonic) {
  return {*parse_rfc3339(wall), at(monotonic)};
}
Amounts requests(std::uint64_t n) {
  Amounts a;
  a[Measure::requests] = n;
  return a;
}

TEST(Quota, IsOfTheCalendarInUtc) {
  EXPECT_EQ(period_of(Period::day, *parse_rfc3339("1970-01-01T23:59:59.999Z")), 0);
  EXPECT_EQ(period_of(Period::month, *parse_rfc3339("1971-02-28T23:59:59Z")), 13);
  EXPECT_EQ(format_rfc3339(beginning_of(Period::month, 13)), "1971-02-01T00:00:00.000Z");
  Quota day(Period::day), month(Period::month);
  const Moment evening = moment("2026-02-28T23:00:00Z", 0s);
  for (Quota* quota : {&day, &month}) {
    quota->look(evening);
    quota->add(requests(5));
    EXPECT_EQ(quota->until_next(evening), 1h);
  }
  const Moment later = moment("2026-02-28T23:59:59.999Z", 1h);
  day.look(later);
  EXPECT_EQ(day.used(Measure::requests), 5u);
  const Moment next = moment("2026-03-01T00:00:00Z", 1h);
  for (Quota* quota : {&day, &month}) {
    quota->look(next);
    EXPECT_EQ(quota->used(Measure::requests), 0u);
  }
  EXPECT_EQ(day.until_next(next), 24h);
  EXPECT_EQ(month.until_next(next), 31 * 24h);
}

// Set back over midnight, the clock does not give a second quota; and nobody waits longer than a day really takes.
TEST(Quota, AClockThatIsSetBack) {
  Quota day(Period::day);
  day.look(moment("2026-03-02T00:00:10Z", 0s));
  day.add(requests(7));
  const Moment back = moment("2026-03-01T23:59:00Z", 5s);
  day.look(back);
  EXPECT_EQ(day.used(Measure::requests), 7u);
  EXPECT_EQ(day.until_next(back), 24h - 5s);
  day.look(moment("2026-03-02T00:00:10Z", 75s));
  EXPECT_EQ(day.used(Measure::requests), 7u);
  day.look(moment("2026-03-03T00:00:00Z", 24h));
  EXPECT_EQ(day.used(Measure::requests), 0u);

  Quota wrong(Period::day);  // began under a clock that was years ahead
  wrong.look(moment("2030-01-01T12:00:00Z", 0s));
  wrong.add(requests(7));
  wrong.look(moment("2026-03-01T12:00:00Z", 23h));
  EXPECT_EQ(wrong.used(Measure::requests), 7u);
  EXPECT_EQ(wrong.until_next(moment("2026-03-01T12:00:00Z", 23h)), 1h);
  wrong.look(moment("2026-03-01T13:00:00Z", 24h));
  EXPECT_EQ(wrong.used(Measure::requests), 0u);
}

TEST(Meter, TheLimitThatLastsLongestAnswers) {
  LimitSet limits;
  limits[Measure::requests].rate = Rate{2, 2};
  limits[Measure::requests].per_day = 3;
  Meter meter;
  const Moment now = moment("2026-03-01T23:00:00Z", 0s);
  for (int i = 0; i < 2; ++i) {
    ASSERT_FALSE(meter.refuses(limits, now, requests(1)));
    meter.take(limits, now, requests(1));
  }
  auto refusal = meter.refuses(limits, now, requests(1));
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->kind, LimitKind::rate);
  EXPECT_EQ(refusal->retry_after, 500ms);
  refusal = meter.refuses(limits, now, requests(2));
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->kind, LimitKind::day_quota);
  EXPECT_EQ(refusal->retry_after, 1h);
  EXPECT_EQ(refusal->asked, 2u);
  // A quota may be lowered below what was used.
  limits[Measure::requests].per_day = 1;
  EXPECT_EQ(meter.refuses(limits, moment("2026-03-01T23:30:00Z", 1800s), requests(1))->kind, LimitKind::day_quota);
}

TEST(LimitSetJson, ReadsWhatItWrites) {
  const std::string json =
      R"({"requests":{"per_second":100,"burst":250,"per_day":0},"bytes":{"per_month":999999999999999},"connections":1,)"
      R"("streams":0,"disk_bytes":5})";
  const auto parsed = parse_limits(json, true);
  ASSERT_TRUE(std::holds_alternative<LimitSet>(parsed)) << std::get<std::string>(parsed);
  std::string out;
  JsonWriter writer(out);
  write_limits(writer, std::get<LimitSet>(parsed));
  EXPECT_EQ(out, json);
  const auto defaulted = std::get<LimitSet>(parse_limits(R"({"records":{"per_second":7}})", false));
  EXPECT_EQ(defaulted[Measure::records].rate->burst, 7u);
  EXPECT_TRUE(std::get<LimitSet>(parse_limits("{}", false)).empty());
}

TEST(LimitSetJson, SaysWhatIsWrong) {
  const auto wrong = [](std::string_view json, bool of_tenant = true) {
    const auto parsed = parse_limits(json, of_tenant);
    return std::holds_alternative<std::string>(parsed) ? std::get<std::string>(parsed) : std::string("taken");
  };
  EXPECT_EQ(wrong("[]"), "The limits are a JSON object, such as {\"requests\":{\"per_second\":100}}.");
  EXPECT_EQ(wrong(R"({"requests":{"per_second":0}})"),
            "`requests.per_second` is a whole number from 1 to 1,000,000,000.");
  EXPECT_EQ(wrong(R"({"requests":{"per_second":-1}})"),
            "`requests.per_second` is a whole number from 1 to 1,000,000,000.");
  EXPECT_EQ(wrong(R"({"requests":{"per_second":1.5}})"),
            "`requests.per_second` is a whole number from 1 to 1,000,000,000.");
  EXPECT_EQ(wrong(R"({"requests":{"burst":5}})"), "`requests.burst` needs requests.per_second: a burst is of a rate.");
  EXPECT_EQ(wrong(R"({"requests":{"per_second":1,"burst":86401}})"),
            "`requests.burst` is at most what a day brings at the rate: use per_day for longer.");
  EXPECT_EQ(wrong(R"({"requests":5})"),
            "`requests` is an object, such as {\"per_second\":100,\"burst\":200,\"per_day\":1000000}.");
  EXPECT_EQ(wrong(R"({"request":{}})"),
            "`request` is not known here; there are requests, records, bytes, connections, and for a tenant streams "
            "and disk_bytes.");
  EXPECT_EQ(wrong(R"({"bytes":{"per_hour":1}})"),
            "`bytes.per_hour` is not known here; there are per_second, burst, per_day and per_month.");
  EXPECT_EQ(wrong(R"({"connections":1,"connections":2})"), "`connections` comes twice.");
  EXPECT_EQ(wrong(R"({"requests":{"per_second":1,"per_second":2}})"), "`requests.per_second` comes twice.");
  EXPECT_EQ(wrong(R"({"bytes":{"per_day":1,"per_month":5,"per_day":1}})"), "`bytes.per_day` comes twice.");
  EXPECT_EQ(wrong(R"({"bytes":{"per_day":1,"per\u005fday":2}})"), "`bytes.per_day` comes twice.");
  EXPECT_EQ(wrong(R"({"requests":{"per_day":1},"requests":{"per_day":2}})"), "`requests` comes twice.");
  EXPECT_EQ(wrong(R"({"streams":1})", false), "`streams` is limited for a tenant, not for a key.");
  EXPECT_EQ(wrong(R"({"disk_bytes":1000000000000000})"),
            "`disk_bytes` is a whole number from 0 to 999,999,999,999,999.");
}

}  // namespace
}  // namespace tidemill
