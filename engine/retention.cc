#include "engine/retention.h"

#include <algorithm>

#include "storage/base/logger.h"
#include "storage/base/text.h"
#include "storage/seam/clock.h"

namespace tidemill {
namespace {

constexpr std::chrono::minutes kPartedMax{1};
constexpr std::chrono::seconds kBehindMax{1};  // NTP sets clocks back by less
constexpr std::chrono::seconds kSoon{1};

}  // namespace

Retention::Retention(Env& env, Groups& groups, std::recursive_mutex& changing, Streams streams)
    : Serial(env),
      groups_(groups),
      changing_(changing),
      streams_(std::move(streams)),
      wall_at_start_(env.clock.wall()),
      monotonic_at_start_(env.clock.monotonic()) {}

void Retention::begin(Keeper keeper) {
  {
    const std::lock_guard lock(run_mutex_);
    keeper_ = std::move(keeper);
    begun_ = true;
  }
  wake();
}

void Retention::stop() {
  const std::lock_guard lock(run_mutex_);
  stopped_ = true;
  keeper_ = nullptr;
}

RetentionStatus Retention::status(StreamId stream) const {
  const std::lock_guard lock(mutex_);
  const auto it = states_.find(stream);
  return it == states_.end() ? RetentionStatus() : it->second;
}

void Retention::run() {
  const std::lock_guard running(run_mutex_);
  if (!begun_ || stopped_) return;
  const MonotonicTime now = env_.clock.monotonic();
  const std::unique_lock changing(changing_, std::try_to_lock);
  if (!changing) return wake_at(now + kSoon);
  bool wanted = false;
  bool soon = false;
  const std::vector<std::shared_ptr<Stream>> streams = streams_();
  const std::vector<GroupStatus> groups = groups_.list();
  std::erase_if(behind_, [&](const auto& known) {
    return std::none_of(groups.begin(), groups.end(),
                        [&](const GroupStatus& g) { return g.qualified_name() == known.first; });
  });
  for (const auto& stream : streams) {
    if (!stream->definition().retention.enabled()) continue;
    wanted = true;
    soon = check(*stream, groups) || soon;
  }
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(states_, [&](const auto& state) {
      return std::none_of(streams.begin(), streams.end(), [&](const auto& s) {
        return s->definition().id == state.first && s->definition().retention.enabled();
      });
    });
  }
  if (wanted) wake_at(now + (soon ? kSoon : kInterval));
}

std::string Retention::why_paused(const Stream& stream) const {
  const auto wall = env_.clock.wall() - wall_at_start_;
  const auto passed = env_.clock.monotonic() - monotonic_at_start_;
  if (wall - passed > kPartedMax || passed - wall > kPartedMax)
    return "The wall clock was set by more than a minute since the start: nothing is removed for its age until it "
           "agrees "
           "again, or the next start. Set the clock right.";
  const LogStatus log = stream.log().status();
  if (log.durable >= log.start && env_.clock.wall() + kBehindMax < log.last_time)
    return "The wall clock lies before the stream's last commit (" + format_rfc3339(log.last_time) +
           "): nothing is removed for its age until it has passed it. Set the clock right.";
  return {};
}

void Retention::see(Behind& group, const GroupStatus& status) {
  // Of one that is not open nobody knows how far it is; what it was when it was is the best guess.
  group.moves = status.open && (status.applied != group.applied || group.unread <= status.persisted.sequence());
  if (!status.open) return;
  group.unread = next(status.persisted.sequence());
  group.applied = status.applied;
}

bool Retention::check(Stream& stream, const std::vector<GroupStatus>& groups) {
  const StreamDefinition::Retention& wanted = stream.definition().retention;
  Log& log = stream.log();
  RetentionStatus before;
  {
    const std::lock_guard lock(mutex_);
    before = states_[stream.definition().id];
  }
  RetentionStatus now;
  now.removed_records = before.removed_records;
  now.lost_records = before.lost_records;

  RetentionLimits limits;
  RetentionLimits soon;
  if (wanted.age) {
    now.paused = why_paused(stream);
    if (now.paused.empty()) {
      limits.older_than = env_.clock.wall() - *wanted.age;
      soon.older_than = env_.clock.wall() - *wanted.age / 5 * 4;
    }
  }
  if (wanted.size_bytes) {
    limits.bytes_max = *wanted.size_bytes;
    soon.bytes_max = *wanted.size_bytes / 5 * 4;
  }
  const auto reached = log.retention_start(limits);
  const auto reached_soon = log.retention_start(soon);
  if (!reached || !reached_soon) {
    env_.logger.warning(
        "retention could not look at a stream; the next check tries again",
        {{"stream", stream.title()}, {"cause", (!reached ? reached.error() : reached_soon.error()).message()}});
    return false;
  }

  const Sequence start = log.start();
  Sequence target = *reached;
  Losers losers;
  bool again_soon = false;
  const MonotonicTime time = env_.clock.monotonic();
  for (const GroupStatus& g : groups) {
    if (g.stream_id != stream.definition().id || (keeper_ && g.consumer == kKeptGroup)) continue;
    Behind& group = behind_[g.qualified_name()];
    see(group, g);
    const Sequence unread = group.unread;
    if (unread >= *reached_soon) {
      group.asked = false;
      group.warned.reset();
    } else if (g.open && !group.asked) {
      groups_.note_position(g.qualified_name());
      group.asked = again_soon = true;
      target = std::max(start, std::min(target, unread));
      continue;
    } else {
      now.at_risk.push_back(g.name);
      if (!group.warned) group.warned = time;
    }
    if (!g.open && wanted.wait_for_groups) {
      if (target > start) now.held = "Waits for group " + g.name + ", which is not open.";
      target = std::min(target, start);
      continue;
    }
    if (unread >= target) continue;
    const bool has_grace =
        group.warned && time < *group.warned + (group.moves ? MonotonicTime::duration(kPatience) : kInterval);
    if (wanted.wait_for_groups) {
      target = std::max(start, unread);
      now.held = "Waits for group " + g.name + ", which has made its work durable up to record " +
                 std::to_string(g.persisted.sequence().value()) + ".";
    } else if (has_grace) {
      target = std::max(start, unread);
      now.held = "Group " + g.name + " has not made its work durable from record " + std::to_string(unread.value()) +
                 " on; it was warned just now, and " + (group.moves ? "is catching up." : "has a moment.");
    } else {
      losers.emplace_back(g.qualified_name(), unread);
    }
  }
  if (target > start) {
    const auto drop = [&](Sequence to) { let_go(stream, to, losers, now); };
    std::string kept;
    if (keeper_)
      kept = keeper_(stream, target, drop);
    else
      drop(target);
    if (!kept.empty()) now.held.append(now.held.empty() ? "" : " ").append(kept);
  }
  say(stream, before, now);
  const std::lock_guard lock(mutex_);
  states_[stream.definition().id] = std::move(now);
  return again_soon;
}

void Retention::let_go(Stream& stream, Sequence target, const Losers& losers, RetentionStatus& now) {
  const Sequence start = stream.log().start();
  const auto dropped = stream.log().drop_before(target);
  if (!dropped) {
    env_.logger.error("retention cannot move the log's start; nothing was removed",
                      {{"stream", stream.title()}, {"cause", dropped.error().message()}});
    return;
  }
  if (*dropped <= start) return;
  now.removed_records += dropped->value() - start.value();
  env_.logger.info("retention removed records", {{"stream", stream.title()},
                                                 {"first", std::to_string(start.value())},
                                                 {"last", std::to_string(dropped->value() - 1)}});
  for (const auto& [group, from] : losers) {
    const Sequence unread = std::max(start, from);
    if (unread >= *dropped) continue;
    now.lost_records += dropped->value() - unread.value();
    env_.logger.error("retention removed records before a group had made its work on them durable",
                      {{"group", text_of(group)},
                       {"first", std::to_string(unread.value())},
                       {"last", std::to_string(dropped->value() - 1)}});
  }
}

// Only what is new.
void Retention::say(const Stream& stream, const RetentionStatus& before, const RetentionStatus& now) {
  if (before.paused.empty() && !now.paused.empty())
    env_.logger.error("retention by age is paused", {{"stream", stream.title()}, {"cause", now.paused}});
  if (!before.paused.empty() && now.paused.empty())
    env_.logger.info("retention by age goes on", {{"stream", stream.title()}});
  if (before.held.empty() && !now.held.empty())
    env_.logger.warning("retention keeps more than its limits", {{"stream", stream.title()}, {"cause", now.held}});
  for (const std::string& group : now.at_risk)
    if (std::find(before.at_risk.begin(), before.at_risk.end(), group) == before.at_risk.end())
      env_.logger.warning("a group is so far behind that retention will soon reach what it has not read",
                          {{"stream", stream.title()},
                           {"group", group},
                           {"then", stream.definition().retention.wait_for_groups ? "retention waits for it"
                                                                                  : "it loses these records"}});
}

}  // namespace tidemill
