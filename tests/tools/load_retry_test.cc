// Servers that are busy, lose answers, set limits or are not there: how long a load tries on.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/tools/load_world.h"
#include "tools/cli/load/retry.h"

namespace tidemill::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST_F(LoadTest, LostAnswersAndBusyServersCostNothing) {
  set_before([](int n, const Request&) -> std::optional<Reply> {
    if (n % 7 == 1) return Reply{.status = 429, .headers = {{"Retry-After", "0"}}};
    if (n % 7 == 3) return Reply{.status = 503, .body = R"({"outcome":"unknown"})"};
    if (n % 7 == 5) return Reply{.drop = true};
    return std::nullopt;
  });
  set_after([](int n, const Request&) -> std::optional<Reply> {
    if (n % 5 == 0) return Reply{.drop = true};  // taken, but nobody was told
    return std::nullopt;
  });
  EXPECT_EQ(run(options(sample(20'000))), kOk) << err_;
  expect_sample_once(20'000);
  EXPECT_THAT(err_, HasSubstr("trying on"));
}

TEST_F(LoadTest, AUsedUpQuotaIsFinal) {
  set_before([](int n, const Request&) -> std::optional<Reply> {
    if (n <= 5) return std::nullopt;
    return Reply{
        .status = 429,
        .body = R"({"code":"quota_exceeded","title":"A quota is used up.","detail":"It is 5 records a month."})",
        .headers = {{"Retry-After", "2000000"}}};
  });
  LoadOptions o = options(sample(20'000));
  o.retry_for = "60s";
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(run(o), kWrongUse);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30)) << "nothing waits for the next month";
  EXPECT_THAT(err_, HasSubstr("A quota is used up. It is 5 records a month. (HTTP 429); Retry-After: in 24d"));
  EXPECT_THAT(err_, HasSubstr("--resume")) << "what is in is in";
  EXPECT_THAT(err_, Not(HasSubstr("trying on")));
  EXPECT_FALSE(records_.empty());
}

TEST_F(LoadTest, WaitsNoLongerThanItMay) {
  LoadOptions o = options(sample(100));
  const auto answer = [this](const char* code, const char* retry_after) {
    set_before([=](int, const Request&) -> std::optional<Reply> {
      return Reply{.status = 429,
                   .body = std::string(R"({"code":")") + code + R"(","title":"Slowly.","detail":"It is 1 a second."})",
                   .headers = {{"Retry-After", retry_after}}};
    });
  };
  o.retry_for = "1s";
  answer("rate_limited", "1");  // again and again
  EXPECT_EQ(run(o), kNotReached);
  EXPECT_THAT(err_, HasSubstr("Slowly. It is 1 a second. (HTTP 429); trying on"));
  EXPECT_THAT(err_, HasSubstr("nothing has been taken for 1s (--retry-for)"));
  o.retry_for = "20s";
  answer("rate_limited", "3600");
  EXPECT_EQ(run(o), kNotReached);
  EXPECT_THAT(err_, HasSubstr("it asks to wait 60m, longer than --retry-for 20s"));
  answer("connection_limit", "3600");
  EXPECT_EQ(run(o), kNotReached);
  EXPECT_THAT(err_, HasSubstr("--connections"));
}

TEST_F(LoadTest, ServerThatIsNotThere) {
  const std::string path = file("a.csv", "InvoiceNo\n1\n");
  LoadOptions o = options(path);
  o.retry_for = "0s";
  stub_.reset();
  EXPECT_EQ(run(o), kNotReached);
  EXPECT_THAT(err_, HasSubstr("Connection refused"));
}

TEST(LoadRetry, GivesUpAfterItsTimeAndForgetsAnOutageThatIsOver) {
  using namespace std::chrono;
  Retry retry(seconds(10));
  steady_clock::time_point now{};
  milliseconds waited{0};
  int tries = 0;
  while (const auto pause = retry.failed(now)) {
    now += *pause;
    waited += *pause;
    ASSERT_LT(++tries, 100);
  }
  EXPECT_EQ(waited, seconds(10)) << "one last try at the very end";
  retry.answered();
  EXPECT_EQ(retry.failed(now), milliseconds(100));
  EXPECT_EQ(Retry(seconds(10)).failed(now, hours(1)), seconds(10)) << "no wait goes beyond the limit";
  EXPECT_EQ(Retry::retry_after("3", milliseconds(1)), seconds(3));
  EXPECT_EQ(Retry::retry_after("99999", milliseconds(1)), seconds(60));
  EXPECT_EQ(Retry::retry_after("Wed, 21 Oct 2015", milliseconds(7)), milliseconds(7));
}

TEST(LoadRetry, WaitsAsLongAsItIsToldWithinItsLimit) {
  using namespace std::chrono;
  Retry retry(seconds(10));
  const steady_clock::time_point begin{hours(1)};
  EXPECT_EQ(retry.told_to_wait(begin, seconds(11)), std::nullopt);
  EXPECT_EQ(retry.told_to_wait(begin, seconds(6)), seconds(6));
  EXPECT_EQ(retry.told_to_wait(begin + seconds(6), seconds(6)), std::nullopt) << "12 s in all";
  retry.others_were_answered(begin + seconds(5));
  EXPECT_EQ(retry.told_to_wait(begin + seconds(6), seconds(6)), seconds(6));
  retry.answered();
  EXPECT_EQ(retry.told_to_wait(begin + seconds(60), seconds(10)), seconds(10));
}

}  // namespace
}  // namespace tidemill::cli
