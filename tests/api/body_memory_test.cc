#include "api/http/body_memory.h"

#include "api/http/pace.h"
#include "tests/api/api_world.h"

namespace tidemill {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr http::BodyMemory::Most kMost{1'000, 0};

TEST(BodyMemory, OnlyWhatComesToABufferCounts) {
  http::BodyMemory memory;
  const MonotonicTime now{seconds(100)};
  EXPECT_TRUE(memory.grow("a", 0, 600, kMost, now));
  EXPECT_TRUE(memory.grow("a", 600, 1'000, kMost, now)) << "the same buffer, larger";
  EXPECT_FALSE(memory.grow("a", 0, 1, kMost, now));
  memory.give_back("a", 1'000, now);
  EXPECT_TRUE(memory.grow("b", 0, 1'000, kMost, now));
}

TEST(BodyMemory, SaysWhenThereWillBeRoom) {
  http::BodyMemory memory;
  MonotonicTime now{seconds(100)};
  EXPECT_TRUE(memory.grow("a", 0, 800, kMost, now));
  EXPECT_EQ(memory.time_for(200, kMost.bytes, now).count(), 0);
  EXPECT_EQ(memory.time_for(300, kMost.bytes, now).count(), 0) << "nothing was given back yet";
  now += seconds(2);
  memory.give_back("a", 200, now);  // 100 a second
  const auto wait = [&](std::size_t bytes) {
    return std::chrono::duration<double>(memory.time_for(bytes, kMost.bytes, now)).count();
  };
  EXPECT_NEAR(wait(700), 3, 0.01);
  EXPECT_NEAR(wait(5'000), 6, 0.01) << "more than all of it cannot be waited for";
}

TEST(BodyMemory, OneAddressLeavesRoomForABodyOfAnother) {
  http::BodyMemory memory;
  const MonotonicTime now{};
  const http::BodyMemory::Most most{1'000, 300};
  EXPECT_TRUE(memory.grow("a", 0, 350, most, now));
  EXPECT_TRUE(memory.grow("a", 0, 350, most, now));
  EXPECT_FALSE(memory.grow("a", 0, 1, most, now));
  EXPECT_TRUE(memory.grow("b", 0, 300, most, now));
  memory.give_back("b", 300, now);
  memory.give_back("a", 350, now);
  EXPECT_TRUE(memory.grow("a", 0, 350, most, now)) << "what is free beyond it is for everybody";
  const http::BodyMemory::Most little{1'000, 5'000};
  EXPECT_FALSE(memory.grow("b", 0, 501, little, now)) << "never more than half is kept free";
}

TEST(Pace, WhatCameFasterEarnsNoLongerStandstill) {
  http::Pace pace;
  http::Pace::Time now{};
  constexpr milliseconds kSlack{10'000};
  const auto at = [&](int second, std::uint64_t bytes) {
    return pace.keeps(now + seconds(second), bytes, 1'000, kSlack);
  };
  pace.begin(now, kSlack);
  EXPECT_TRUE(at(10, 0)) << "it may stand still";
  EXPECT_FALSE(at(11, 0));
  pace.begin(now, kSlack);
  EXPECT_TRUE(at(1, 6'000'000));
  EXPECT_TRUE(at(11, 6'000'000));
  EXPECT_FALSE(at(12, 6'000'000)) << "ten seconds, not six thousand";
  pace.begin(now, kSlack);
  for (int second = 1; second < 1'000; ++second) {
    EXPECT_TRUE(at(second, static_cast<std::uint64_t>(second) * 1'000)) << "the rate is enough for as long as it takes";
  }
  EXPECT_TRUE(at(1'005, 999'000));
  EXPECT_FALSE(at(1'010, 999'000));
  // Asked more seldom than the slack is long.
  constexpr milliseconds kShort{300};
  pace.begin(now, kShort);
  for (int second = 1; second < 100; ++second)
    EXPECT_TRUE(pace.keeps(now + seconds(second), static_cast<std::uint64_t>(second) * 1'000, 1'000, kShort)) << second;
  EXPECT_FALSE(pace.keeps(now + seconds(100), 99'500, 1'000, kShort));
  pace.begin(now, kSlack);
  EXPECT_TRUE(pace.keeps(now + seconds(1), ~std::uint64_t{0} / 2, 1, kSlack)) << "as much as there can be";
}

TEST(BodyMemory, ABodyThatFindsNoRoomIs429AndTheNextGoesIn) {
  ApiOptions options;
  options.limits.http.memory_bytes = 200'000;
  ApiWorld world(options);
  const std::string large = ApiWorld::post(std::string(1'000'000, ' ') + std::string(kGood));
  const auto refused = world.ask(large);
  EXPECT_EQ(refused.status, 429) << refused.body;
  EXPECT_EQ(refused.headers.at("retry-after"), "1");
  EXPECT_EQ(refused.headers.at("connection"), "close");
  for (int i = 0; i < 10; ++i) {
    // Fits, and is given back each time.
    EXPECT_EQ(world.ask(ApiWorld::post(std::string(90'000, ' ') + std::string(kGood))).status, 200);
  }
}

// In as much memory as a server has at least, whether it says its length or comes in chunks.
TEST(BodyMemory, TheLargestBodyGoesIn) {
  ApiOptions options;
  auto& limits = options.limits.http;
  limits.body_bytes = 1 << 20;
  limits.memory_bytes = limits.one_request() * 2;
  ApiWorld world(options);
  for (const std::size_t size : {limits.body_bytes, limits.body_bytes * 9 / 10, limits.body_bytes / 2 + 1}) {
    const std::string body = std::string(size - kGood.size(), ' ') + std::string(kGood);
    EXPECT_EQ(world.ask(ApiWorld::post(body)).status, 200) << size;
    for (const std::size_t chunk : {std::size_t{100}, std::size_t{30'000}, size}) {
      std::string text = "POST /v1/streams/retail/records HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n";
      text.append(kJsonHeader).append("\r\n");
      char line[20];
      for (std::size_t at = 0; at < size; at += chunk) {
        const std::size_t bytes = std::min(chunk, size - at);
        text.append(line, static_cast<std::size_t>(std::snprintf(line, sizeof line, "%zx\r\n", bytes)));
        text.append(body, at, bytes).append("\r\n");
      }
      EXPECT_EQ(world.ask(text + "0\r\n\r\n").status, 200) << size << " in chunks of " << chunk;
    }
  }
}

TEST(BodyMemory, WhoSentMuchAndStandsStillIs408) {
  ApiOptions options;
  options.limits.http.body_grace = milliseconds(200);
  options.limits.http.body_bytes_per_second = 100;
  ApiWorld world(options);
  RawClient client(world.server->port());
  client.send(ApiWorld::post(std::string(1'000'000, ' ')).substr(0, 900'000));
  EXPECT_EQ(client.answer().status, 408) << "9,000 s are not earned";
}

}  // namespace
}  // namespace tidemill
