#include "api/http/body_memory.h"

#include "tests/api/api_world.h"

namespace tidemill {
namespace {

using std::chrono::seconds;

TEST(BodyMemory, SaysWhenThereWillBeRoom) {
  http::BodyMemory memory;
  MonotonicTime now{seconds(100)};
  constexpr std::size_t kLimit = 1'000;
  memory.grow(0, 400, now);
  memory.grow(400, 800, now);  // the same buffer, larger
  EXPECT_TRUE(memory.fits(200, kLimit));
  EXPECT_FALSE(memory.fits(201, kLimit));
  EXPECT_EQ(memory.time_for(200, kLimit, now).count(), 0);
  EXPECT_EQ(memory.time_for(300, kLimit, now).count(), 0) << "nothing was given back yet";
  now += seconds(2);
  memory.give_back(200, now);  // 100 a second
  EXPECT_FALSE(memory.fits(500, kLimit));
  EXPECT_NEAR(std::chrono::duration<double>(memory.time_for(700, kLimit, now)).count(), 3, 0.01);
  EXPECT_NEAR(std::chrono::duration<double>(memory.time_for(5'000, kLimit, now)).count(), 6, 0.01)
      << "more than all of it cannot be waited for";
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

}  // namespace
}  // namespace tidemill
