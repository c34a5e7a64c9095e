#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/group.h"
#include "engine/serial.h"
#include "engine/stream.h"

namespace tidemill {

// What retention does about one stream, for whoever asks.
struct RetentionStatus {
  std::string paused;                // why nothing is removed for its age; empty: it is not paused
  std::string held;                  // what keeps records that the limits would remove; empty: nothing
  std::vector<std::string> at_risk;  // groups that have not read all of what goes soon
  std::uint64_t removed_records = 0;
  std::uint64_t lost_records = 0;  // of them, those that a group had not read; counted once for each group
  bool operator==(const RetentionStatus&) const = default;
};

// Removes old records from the streams that want it, a check every few seconds on env.background. Follows what groups
// have persisted, never what they have only applied: a crash would fall back to it.
//
// A group that is behind: with wait_for_groups nothing goes that it has not persisted. Without, records go all the
// same; the group is told of the range as of one that was damaged (GroupRunner::read), and it is logged and counted
// here. Either way it is a warning before: once it has not persisted what goes at four fifths of the limits. Nothing
// goes that it has not persisted before the check after the one that warned, in this life; nor, while it moves, as one
// does that catches up after a start, before kPatience has passed.
//
// A group may be behind only because it has noted nothing for long, having had nothing to do. So it is asked to, and
// is only behind if a second later it still is.
//
// Age is paused while the clock cannot be trusted: while the wall clock and the monotonic clock have parted by more
// than a minute since the start, or the wall clock lies before the stream's last commit. Size is not.
class Retention final : public Serial {
 public:
  // Who builds something of a stream's records (the views) lets go of those before `target`, all or some, by calling
  // `drop` with where the log may begin, and returns why not of all; empty: nothing to be said. It asks the groups of
  // that name for nothing more, so that they are not waited for here.
  using Keeper =
      std::function<std::string(const Stream& stream, Sequence target, const std::function<void(Sequence)>& drop)>;
  static constexpr std::string_view kKeptGroup = "views";
  using Streams = std::function<std::vector<std::shared_ptr<Stream>>()>;
  static constexpr std::chrono::seconds kInterval{10};
  static constexpr std::chrono::minutes kPatience{10};

  // `changing` is held while groups come and go; a check that finds it taken is put off.
  Retention(Env& env, Groups& groups, std::recursive_mutex& changing, Streams streams);
  // Not before all groups are there.
  void begin(Keeper keeper);
  void stop();  // waits for a check under way; none comes after it
  RetentionStatus status(StreamId stream) const;

 private:
  // A group, as far as it is known.
  struct Behind {
    Sequence unread{1};                   // the first record that it had not persisted when it was open
    Position applied;                     // then
    bool moves = false;                   // since the check before
    bool asked = false;                   // to note its position, since it is behind
    std::optional<MonotonicTime> warned;  // since when it is at risk
  };
  using Losers =
      std::vector<std::pair<QualifiedName, Sequence>>;  // groups, and the first record each has not persisted
  void run() final;
  bool check(Stream& stream, const std::vector<GroupStatus>& groups);  // whether to look again soon
  void see(Behind& group, const GroupStatus& status);
  void let_go(Stream& stream, Sequence target, const Losers& losers, RetentionStatus& now);
  std::string why_paused(const Stream& stream) const;
  void say(const Stream& stream, const RetentionStatus& before, const RetentionStatus& now);

  Groups& groups_;
  std::recursive_mutex& changing_;
  const Streams streams_;
  const WallTime wall_at_start_;
  const MonotonicTime monotonic_at_start_;

  std::mutex run_mutex_;  // one check, or stop()
  Keeper keeper_;
  bool begun_ = false;
  bool stopped_ = false;
  std::map<QualifiedName, Behind> behind_;  // by group

  mutable std::mutex mutex_;
  std::map<StreamId, RetentionStatus> states_;
};

}  // namespace tidemill
