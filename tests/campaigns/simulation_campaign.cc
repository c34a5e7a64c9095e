// A server's lives, one after the other, each from one seed: writers, readers and groups, and whatever may befall them.
// The power goes or the process is killed at any step; any call fails, for once or for long; the disk is full for a
// while; the clock jumps; shards are split and merged; three seeds of four have retention. Each seed is lived twice,
// and must go the same way to the last call.
#include <cerrno>
#include <cstdio>
#include <mutex>

#include "tests/campaigns/campaign.h"
#include "tests/campaigns/sim_world.h"

namespace tidemill {
namespace {

// What is to befall one life.
void trouble(SimWorld& w, SimRandom& dice, bool& cut) {
  SimFileSystem& files = w.sim.files;
  const std::uint64_t step = files.steps() + 1 + dice.below(dice.one_in(3) ? 40 : 600);
  cut = dice.one_in(3);
  if (cut) {
    files.cut_at_step(step);
  } else if (dice.one_in(4)) {
    files.kill_at_step(step);
  }
  static constexpr DiskOp kOps[] = {DiskOp::write, DiskOp::sync_data,      DiskOp::create, DiskOp::rename,
                                    DiskOp::open,  DiskOp::sync_directory, DiskOp::read,   DiskOp::change};
  static constexpr const char* kPlaces[] = {"", "/streams/", ".seg", "/archive/", "manifest", "/data/streams/0"};
  static constexpr int kErrors[] = {EIO, ENOSPC, EMFILE, EINTR};
  for (std::uint64_t n = dice.below(3); n > 0; --n) {
    DiskFault fault{.op = kOps[dice.below(std::size(kOps))],
                    .path_contains = kPlaces[dice.below(std::size(kPlaces))],
                    .nth = 1 + dice.below(80),
                    .times = dice.one_in(2) ? 1 : 1 + dice.below(30),
                    .error = kErrors[dice.below(std::size(kErrors))]};
    fault.late = fault.op == DiskOp::write && dice.one_in(3);
    files.fail(fault);
  }
  if (dice.one_in(6)) files.set_capacity(files.used() + dice.below(200 << 10));
}

void heal(SimWorld& w) {
  w.sim.files.clear_faults();
  w.sim.files.set_capacity(1ull << 40);
}

// By age, by size, and by both without waiting for groups.
StreamDefinition::Retention retention_of(std::uint64_t seed) {
  using namespace std::chrono_literals;
  if (seed % 4 == 1) return {.age = 20s, .size_bytes = {}, .wait_for_groups = true};
  if (seed % 4 == 2) return {.age = {}, .size_bytes = 80 << 10, .wait_for_groups = true};
  if (seed % 4 == 3) return {.age = 40s, .size_bytes = 120 << 10, .wait_for_groups = false};
  return {};
}

struct Totals {
  std::uint64_t lives = 0, steps = 0, cuts = 0, kills = 0, faults = 0, acknowledged = 0, refused = 0, digest = 0;
  std::uint64_t removed = 0, reshards = 0;
};
std::mutex totals_mutex;
Totals totals;

// One whole history; its trace.
std::uint64_t simulate(std::uint64_t seed) {
  Totals mine;
  SimWorld w(seed, {.clock_jumps = true, .reshards = true, .retention = retention_of(seed)}, campaign_logger());
  SimRandom dice(mix(seed) + 5);
  SimFileSystem& files = w.sim.files;
  const auto ends = [&](bool cut) {
    const std::uint64_t how = dice.below(3);
    if (files.powered() && how == 0) (void)w.stop();
    ++mine.lives;
    if (files.powered() && how == 0) return;
    if (files.powered() ? how == 1 : !cut) {
      ++mine.kills;
      w.kill();
    } else {
      ++mine.cuts;
      w.crash();
    }
  };
  for (std::uint64_t life = 3 + dice.below(4); life > 0 && !::testing::Test::HasFailure(); --life) {
    bool cut = false;
    if (!dice.one_in(4)) trouble(w, dice, cut);
    for (int tries = 0; tries < 3 && !w.running() && files.powered(); ++tries) (void)w.start();
    if (w.running()) w.work(static_cast<int>(4 + dice.below(16)));
    heal(w);
    // Some go on, with the trouble gone, and must get over it by themselves.
    if (w.running() && files.powered() && !cut && !w.in_doubt() && dice.one_in(3)) {
      files.kill_at_step(~0ull);
      w.check();
    }
    ends(cut);
    files.cut_at_step(~0ull);
    files.kill_at_step(~0ull);
  }
  EXPECT_TRUE(w.start()) << w.error.message();
  if (w.running()) w.check();
  w.crash({.writes = CrashPolicy::Keep::none, .names = CrashPolicy::Keep::none});
  EXPECT_TRUE(w.start()) << w.error.message();
  if (w.running()) w.check();
  const std::uint64_t trace = w.trace();
  const std::lock_guard lock(totals_mutex);
  totals.lives += mine.lives;
  totals.cuts += mine.cuts;
  totals.kills += mine.kills;
  totals.steps += files.steps();
  totals.faults += files.faults_hit();
  totals.acknowledged += w.acknowledged;
  totals.refused += w.refused;
  totals.removed += w.removed;
  totals.reshards += w.reshards;
  return trace;
}

std::uint64_t try_seed(std::uint64_t seed) {
  const std::uint64_t trace = simulate(seed);
  if (::testing::Test::HasFailure()) return 1;
  EXPECT_EQ(simulate(seed), trace) << "the same seed went another way";
  const std::lock_guard lock(totals_mutex);
  totals.digest ^= mix(trace ^ seed);
  return 1;
}

bool finish() {
  const auto n = [](std::uint64_t number) { return static_cast<unsigned long long>(number); };
  std::printf("simulation: %llu lives, %llu changes of the disk, %llu power cuts, %llu kills, %llu calls that failed\n",
              n(totals.lives), n(totals.steps), n(totals.cuts), n(totals.kills), n(totals.faults));
  std::printf("simulation: %llu records acknowledged, %llu requests refused; the histories' digest is %016llx\n",
              n(totals.acknowledged), n(totals.refused), n(totals.digest));
  std::printf("simulation: %llu records removed by retention, %llu splits and merges\n", n(totals.removed),
              n(totals.reshards));
  return true;
}

}  // namespace

Campaign simulation_campaign() {
  return {"simulation", "seeds",  "many lives of an engine with its groups, each from one seed and lived twice",
          200,          try_seed, finish};
}

}  // namespace tidemill
