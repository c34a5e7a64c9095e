#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "consumers/views/views.h"
#include "engine/engine.h"
#include "tests/campaigns/call_faults.h"
#include "tests/storage/log/log_world.h"
#include "tests/support/sim_env.h"

namespace tidemill {

struct SimWith {
  bool views = false;
  bool clock_jumps = false;  // while it works
  bool reshards = false;     // shards are split and merged while it works
  StreamDefinition::Retention retention = {};
};

// A whole server without its HTTP: writers, readers, an archive, a group that tallies, on request views and their kept
// points, retention and shards that are split and merged, over a simulated disk and one seeded queue. What happens is
// drawn from the seed; a ledger knows what was promised, and check() holds it against what is there:
//
// - Acknowledged, or seen by a reader: is in the log, unaltered, in its place, once, and stays until retention takes
// it.
// - Refused for sure: is not there; a request is there whole or not at all.
// - A keyed request tried again: has the answer that it had.
// - Every durable record: is in exactly one text file, in order within its key, tallied once and in order, counted once
//   in the view, and in those of its kept points that are later. But where retention does not wait for groups, what it
//   removed may be missing, and a group that reads too late is told so.
// - The log's start: never goes back; nothing goes for its age that is younger by the time that has truly passed, nor
//   anything for its age while the clock was set.
// - A stream made or removed, a shard split or merged: is so after the next start.
// - Look-ups by time: find the commit that had it.
class SimWorld {
 public:
  explicit SimWorld(std::uint64_t seed, const SimWith& with = {}, Logger& logger = null_logger());
  ~SimWorld();

  // Opens the directory, makes what should be there and attaches the groups. False: something failed, see `error`.
  bool start();
  // So many things happen.
  void work(int rounds);
  void pass(std::chrono::milliseconds time);  // and nothing does
  // Stops as the program does. False: not all of it could be done; whatever is left is thrown away.
  bool stop();
  void kill();                                 // -9
  void crash(const CrashPolicy& policy = {});  // the power goes
  bool running() const { return engine != nullptr; }

  // Nobody knows whether a shard was split or merged, so the stream's groups wait for the next start.
  bool in_doubt() const { return !shards_; }

  // Reads all; what is seen was published, and stays.
  void look();
  // NTP, or an operator.
  void set_wall(std::chrono::milliseconds by);
  // With no fault left and all of it running: all has been caught up with unaided, and everything holds.
  void check();

  // A number that is the same when the same happened: of each change of the disk, each task, each answer.
  std::uint64_t trace();

  SimEnv sim;
  CallFaults calls{sim.files};
  Env env;
  std::unique_ptr<Engine> engine;
  std::unique_ptr<views::AllViews> all_views;
  std::shared_ptr<views::Views> views;  // of the default tenant
  ErrorCode error;
  std::uint64_t acknowledged = 0;  // records, in all
  std::uint64_t refused = 0;       // requests
  std::uint64_t removed = 0;       // records, by retention
  std::uint64_t paused = 0;        // checks of retention that found the clock set
  std::uint64_t reshards = 0;      // splits and merges that were answered well
  std::uint64_t points = 0;        // kept points of the view that were compared

 private:
  struct Sent {
    TestRequest request;
    std::string key;
    bool settled = false;
    WallTime not_before{};              // what the log's clock showed when it was sent
    std::optional<WallTime> not_after;  // and after it was acknowledged
    MonotonicTime at{};                 // what had truly passed by then
    std::chrono::milliseconds ahead{};  // of the wall clock before the true time, the least until it was answered
  };
  class Tally;
  using Tallied = std::map<std::string, std::pair<std::int64_t, std::int64_t>>;  // count and sum by key
  using Shards = std::vector<std::pair<ShardId, bool>>;                          // and whether open
  void drop();
  void send();
  void settle();
  void change_streams();
  void change_shards();
  Tallied tallied(std::uint64_t last) const;  // by hand: what the view is to have of the records up to `last`
  Shards shards_now() const;
  void watch_start();
  std::chrono::milliseconds ahead();
  void told(const RecordBatch& batch, Sequence start);
  Result<void> archive(const std::shared_ptr<Stream>& stream);
  void jump();
  void check_log();
  void check_requests();
  void check_archive();
  void check_tally();
  void check_view();
  void check_points();
  void check_times();
  void check_shards();
  bool all_is_kept() const { return !with_.retention.enabled() || with_.retention.wait_for_groups; }
  bool caught_up() const;
  Log& log() const { return engine->find(in_default("a"))->log(); }

  const SimWith with_;
  Engine::Options options_;
  SimRandom random_;
  std::vector<std::unique_ptr<Sent>> sent_;
  std::map<std::uint64_t, std::string> published_;  // acknowledged or seen by a reader or group
  Sequence start_{1};                               // of the log, as it was last shown
  WallTime wall_at_start_{};
  MonotonicTime monotonic_at_start_{};
  std::optional<MonotonicTime> set_at_;                        // the wall clock, last, in this life
  std::vector<std::pair<std::uint64_t, std::uint64_t>> lost_;  // what the tally was told is gone
  std::optional<Shards> shards_;                               // none: the last change is in doubt
  std::map<std::string, bool> others_;                         // streams that come and go: there or not
  std::set<std::string> doubtful_;                             // those whose last change was not answered
  std::size_t unsettled_ = 0;                                  // the first request without an answer
  std::uint64_t made_ = 0;
  std::uint64_t answers_ = 0;
};

}  // namespace tidemill
