// The wall clock jumps at any step of an engine's life, or between two: back by an hour, ahead by a year. Nothing is
// lost, reordered or filed in another order; look-ups by time find what they should; files are complete in their time.
// Retention by age goes on at most as fast as time truly passes, and stands still, and says so, while the clock is set.
#include <cstdio>

#include "tests/campaigns/campaign.h"
#include "tests/campaigns/sim_world.h"

namespace tidemill {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kJumps[] = {-1h, std::chrono::hours(24 * 365)};

std::atomic<std::uint64_t> removed{0}, paused{0};

// Three lives with a jump at step `at`, or while it is down; 0: none. False: it has no such step.
bool jump_at(std::uint64_t seed, std::uint64_t at, std::chrono::milliseconds by) {
  SimWorld w(seed, {.retention = {.age = 5s, .size_bytes = {}, .wait_for_groups = true}}, campaign_logger());
  bool jumped = false;
  w.sim.files.on_step([&](const DiskStep& step) {
    if (step.number != at) return;
    w.set_wall(by);
    jumped = true;
  });
  const auto life = [&](int rounds) {
    ASSERT_TRUE(w.start()) << w.error.message();
    w.work(rounds);
  };
  life(10);
  w.kill();
  life(6);
  (void)w.stop();
  life(6);
  w.check();
  w.crash();
  life(3);
  w.check();
  removed += w.removed;
  paused += w.paused;
  return jumped;
}

std::uint64_t try_one(std::uint64_t trial) {
  const std::uint64_t at = (trial - 1) / std::size(kJumps) + 1;
  const auto by = kJumps[(trial - 1) % std::size(kJumps)];
  SCOPED_TRACE("a jump by " + std::to_string(by.count()) + " ms at step " + std::to_string(at));
  return jump_at(1, at, by) ? 1 : 0;
}

bool finish() {
  std::printf("clock-jumps: %llu records removed by retention, none early; %llu times it was found paused\n",
              static_cast<unsigned long long>(removed.load()), static_cast<unsigned long long>(paused.load()));
  EXPECT_GT(removed, 0u);
  EXPECT_GT(paused, 0u);
  return !::testing::Test::HasFailure();
}

}  // namespace

Campaign clock_campaign() {
  return {"clock-jumps", "jumps", "the wall clock jumps back an hour or ahead a year at every step",
          ~0ull,         try_one, finish};
}

}  // namespace tidemill
