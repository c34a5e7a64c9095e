// What changes in a SimWorld beside its records: streams, shards, the clock, where the log begins.
#include <algorithm>
#include <utility>

#include "storage/base/errors.h"

#include "tests/campaigns/sim_world.h"

namespace tidemill {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kOpenShards = 8;  // at most

}  // namespace

SimWorld::Shards SimWorld::shards_now() const {
  Shards out;
  for (const ShardDefinition& shard : engine->find(in_default("a"))->shards().now().table->all())
    out.emplace_back(shard.id, shard.open);
  return out;
}

void SimWorld::change_streams() {
  const std::string name = random_.one_in(2) ? "b" : "c";
  if (doubtful_.contains(name)) return;
  doubtful_.insert(name);
  if (others_[name]) {
    if (!engine->groups().remove(in_default(name + ":archive")) || !engine->remove(in_default(name))) return;
  } else {
    StreamDefinition definition;
    definition.name = name;
    const auto made = engine->create(std::move(definition), 2);
    if (!made || !archive(*made)) return;
  }
  doubtful_.erase(name);
  others_[name] = !others_[name];
}

void SimWorld::jump() {
  static constexpr std::chrono::milliseconds kJumps[] = {-1h, -1min, 1h, std::chrono::hours(24 * 365)};
  set_wall(kJumps[random_.below(std::size(kJumps))]);
}

void SimWorld::set_wall(std::chrono::milliseconds by) {
  sim.clock.jump_wall(by);
  set_at_ = sim.clock.monotonic();
  for (std::size_t i = unsettled_; i < sent_.size(); ++i) sent_[i]->ahead = std::min(sent_[i]->ahead, ahead());
}

std::chrono::milliseconds SimWorld::ahead() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(sim.clock.wall().time_since_epoch() -
                                                               sim.clock.monotonic().time_since_epoch());
}

// A second at a time, so that watch_start() knows when what happened.
void SimWorld::pass(std::chrono::milliseconds time) {
  for (; time > 0ms && sim.files.powered(); time -= 1s) {
    sim.executor.run_for(std::min<std::chrono::milliseconds>(time, 1s));
    settle();
    watch_start();
  }
}

// What retention has taken since the last time.
void SimWorld::watch_start() {
  if (!running() || !sim.files.powered()) return;
  const Sequence start = log().start();
  EXPECT_GE(start, start_) << "what was removed is there again";
  removed += start.value() - start_.value();
  const bool was_set =
      std::chrono::abs((sim.clock.wall() - wall_at_start_) - std::chrono::floor<std::chrono::milliseconds>(
                                                                 sim.clock.monotonic() - monotonic_at_start_)) > 61s;
  if (with_.retention.age && was_set) {
    // One check may have gone before it was set; from the next on it is paused, and says so.
    const bool paused_by_now = set_at_ && sim.clock.monotonic() > *set_at_ + Retention::kInterval + 2s;
    const auto status = engine->retention(*engine->find(in_default("a")));
    EXPECT_TRUE(!paused_by_now || !status.paused.empty()) << "the clock was set, and age goes on";
    if (!status.paused.empty()) ++paused;
    if (paused_by_now && !with_.retention.size_bytes) {
      EXPECT_EQ(start, start_) << "removed for its age while the clock was set";
    }
  } else if (with_.retention.age && !with_.retention.size_bytes) {
    for (const auto& sent : sent_) {
      const Append& a = sent->request.append;
      if (!sent->request.ok() || a.accepted == 0 || a.first < start_ || a.first >= start) continue;
      const auto age = sim.clock.monotonic() - sent->at + std::max(0ms, ahead() - sent->ahead);
      EXPECT_GE(age, *with_.retention.age) << "record " << a.first.value() << " went too young";
    }
  }
  start_ = start;
}

void SimWorld::told(const RecordBatch& batch, Sequence start) {
  for (const LostRange& lost : batch.lost) {
    EXPECT_FALSE(all_is_kept()) << "lost, and retention waits for groups: " << lost.first.value();
    EXPECT_LT(lost.last, start) << "lost, and retention did not take it";
    lost_.emplace_back(lost.first.value(), lost.last.value());
  }
  for (const Record& r : batch.records) {
    const auto [it, fresh] = published_.emplace(r.sequence.value(), std::string(r.data));
    EXPECT_TRUE(fresh || it->second == r.data) << "published record " << it->first << " changed";
  }
}

void SimWorld::change_shards() {
  const auto now = engine->find(in_default("a"))->shards().now().table;
  std::vector<ShardDefinition> open;
  for (const ShardDefinition& shard : now->all())
    if (shard.open) open.push_back(shard);
  std::sort(open.begin(), open.end(), [](const auto& a, const auto& b) { return a.range.first < b.range.first; });
  const auto before = std::exchange(shards_, std::nullopt);
  ErrorCode failed;
  if (open.size() == 1 || (open.size() < kOpenShards && random_.one_in(2))) {
    const auto done = engine->split(in_default("a"), open[random_.below(open.size())].id);
    if (!done) failed = done.error();
  } else {
    const std::size_t at = random_.below(open.size() - 1);
    const auto done = engine->merge(in_default("a"), open[at].id, open[at + 1].id);
    if (!done) failed = done.error();
  }
  if (failed && failed != StorageErrc::flush_failed) shards_ = before;  // refused
  if (failed) return;
  ++reshards;
  shards_ = shards_now();
}

}  // namespace tidemill
