// Every crash and every failing call, one at a time: afterwards each record is in exactly one text file.

#include <gtest/gtest.h>

#include "tests/consumers/archive/archive_fixture.h"
#include "tests/support/sim_env.h"

namespace tidemill {
namespace {

using Keep = CrashPolicy::Keep;

const std::string kRoot = "/data/archive/retail";
constexpr std::uint64_t kRecords = 40;

struct World {
  explicit World(std::uint64_t seed) : sim(seed), definition(test_stream(2, 150)) {
    for (std::uint64_t n = 1; n <= kRecords; ++n) {
      log.append({mix(n), n}, "{\"n\":" + std::to_string(n) + ",\"pad\":\"........................\"}",
                 sim.clock.wall());
      sim.clock.advance(std::chrono::minutes(7));  // several hours, hence several directories
    }
  }

  // One life of the process; all that happens to an archive.
  Result<void> live(int attempts = 1) {
    TestGroup group(sim.env, kRoot, definition, log, sim.seed);
    RETURN_IF_ERROR(group.open());
    RETURN_IF_ERROR(group.deliver(kRecords / 2, attempts));
    sim.clock.advance(std::chrono::seconds(61));
    RETURN_IF_ERROR(group.tick(attempts));
    RETURN_IF_ERROR(group.deliver(kRecords, attempts));
    return group.close(attempts);
  }

  std::map<std::string, std::string> texts() {
    std::map<std::string, std::string> found;
    for (const auto& path : sim.files.all_files())
      if (path.ends_with(".txt")) found[path] = *sim.files.content(path);
    return found;
  }

  // Each record in exactly one .txt, in order within its shard; nothing left aside.
  void check_exactly_once() {
    std::map<std::string, std::string> shards;
    for (const auto& path : sim.files.all_files()) {
      ASSERT_FALSE(path.ends_with(".part")) << path;
      if (!path.ends_with(".txt")) continue;
      const std::size_t unit = path.find("retail-s");
      shards[path.substr(unit, 12)] += *sim.files.content(path);  // paths sort by hour, then sequence
    }
    std::map<std::string, std::string> expected;
    for (const auto& record : log.records)
      for (const auto& shard : definition.shards)
        if (shard.range.contains(record.hash))
          expected["retail-s000" + std::to_string(shard.id.value())] += record.data + "\n";
    ASSERT_EQ(shards, expected);
  }

  SimEnv sim;
  StreamDefinition definition;
  TestLog log;
};

TEST(ArchiveCrash, CutAtEveryStep) {
  constexpr Keep kKeeps[] = {Keep::none, Keep::all, Keep::random, Keep::any};
  std::uint64_t cuts = 0;
  for (std::uint64_t cut = 1;; ++cut) {
    bool was_cut = false;
    for (std::uint64_t seed = 0; seed < 8; ++seed) {
      SCOPED_TRACE("cut at step " + std::to_string(cut));
      World world(1000 + seed);
      world.sim.files.cut_at_step(cut);
      const auto result = world.live();
      was_cut = !world.sim.files.powered();
      ASSERT_EQ(result.has_value(), !was_cut);
      const auto visible = world.texts();
      // Names that only the cache knew may go; what a name shows afterwards is what it showed before.
      world.sim.crash({kKeeps[seed % 4], kKeeps[seed / 4 % 4]});
      for (const auto& [path, text] : world.texts())
        if (visible.contains(path)) {
          ASSERT_EQ(text, visible.at(path)) << path;
        }
      if (seed % 2 == 1) {  // and again while it recovers
        world.sim.files.cut_at_step(world.sim.files.steps() + 1 + world.sim.random.below(30));
        (void)world.live();
        world.sim.crash({kKeeps[seed / 4 % 4], kKeeps[seed % 4]});
      }
      const auto again = world.live();
      ASSERT_TRUE(again) << again.error().message();
      world.check_exactly_once();
      for (const auto& [path, text] : visible) ASSERT_EQ(world.texts()[path], text) << path;
      world.sim.crash({Keep::none, Keep::none});  // all of it is on disk now
      world.check_exactly_once();
      if (::testing::Test::HasFailure()) return;
    }
    if (!was_cut) break;
    ++cuts;
  }
  EXPECT_GT(cuts, 100u);
}

TEST(ArchiveFault, EachCallFailsOnceAndIsRetried) {
  for (const int error : {5 /* EIO */, 28 /* ENOSPC */}) {
    std::uint64_t hit = 0;
    for (std::uint64_t nth = 1;; ++nth) {
      SCOPED_TRACE("call " + std::to_string(nth) + " fails with " + std::to_string(error));
      World world(nth);
      {  // open() is not retried by the archive itself: let it succeed
        TestGroup group(world.sim.env, kRoot, world.definition, world.log, 1);
        ASSERT_TRUE(group.open());
      }
      world.sim.files.fail({.op = DiskOp(int(DiskOp::change) | int(DiskOp::open)), .nth = nth, .error = error});
      if (!world.live(2)) {
        ASSERT_TRUE(world.live(2));  // it failed in open()
      }
      world.sim.files.drop_caches();  // what a failed flush did not save shows now
      world.check_exactly_once();
      world.sim.crash({Keep::none, Keep::none});
      world.check_exactly_once();
      if (::testing::Test::HasFailure()) return;
      if (world.sim.files.faults_hit() == 0) break;
      ++hit;
    }
    EXPECT_GT(hit, 100u);
  }
}

TEST(ArchiveFault, ManyFaultsAndManyLives) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    World world(seed);
    for (int life = 0; life < 8; ++life) {
      SimRandom& dice = world.sim.random;
      for (int i = 0; i < 3; ++i)
        world.sim.files.fail({.op = DiskOp::change,
                              .nth = 1 + dice.below(120),
                              .times = 1 + dice.below(3),
                              .error = dice.one_in(2) ? 5 : 28});
      if (dice.one_in(2)) world.sim.files.cut_at_step(world.sim.files.steps() + 1 + dice.below(150));
      (void)world.live(static_cast<int>(1 + dice.below(3)));
      world.sim.files.clear_faults();
      if (dice.one_in(3) && world.sim.files.powered())
        world.sim.files.kill();
      else
        world.sim.crash();
    }
    world.sim.crash();
    const auto last = world.live();
    ASSERT_TRUE(last) << last.error().message();
    world.check_exactly_once();
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace tidemill
