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
};

// A whole server without its HTTP: writers, readers, an archive, a group that tallies, on request views, over a
// simulated disk and one seeded queue. What happens is drawn from the seed; a ledger knows what was promised, and
// check() holds it against what is there:
//
//   acknowledged, or seen by a reader   is in the log, unaltered, in its place, once, and stays
//   refused for sure                    is not there; a request is there whole or not at all
//   a keyed request tried again         has the answer that it had
//   every durable record                is in exactly one text file, tallied once and in order, counted once in the
//   view a stream made or removed            is so after the next start look-ups by time                    find the
//   commit that had it
class SimWorld {
 public:
  explicit SimWorld(std::uint64_t seed, const SimWith& with = {}, Logger& logger = null_logger());
  ~SimWorld();

  // Opens the directory, makes what should be there and attaches the groups. False: something failed, see `error`.
  bool start();
  // So many things happen.
  void work(int rounds);
  // Stops as the program does. False: not all of it could be done; whatever is left is thrown away.
  bool stop();
  void kill();                                 // -9
  void crash(const CrashPolicy& policy = {});  // the power goes
  bool running() const { return engine != nullptr; }

  // Reads all; what is seen was published, and stays.
  void look();
  // With no fault left and all of it running: all has been caught up with unaided, and everything holds.
  void check();

  // A number that is the same when the same happened: of each change of the disk, each task, each answer.
  std::uint64_t trace();

  SimEnv sim;
  CallFaults calls{sim.files};
  Env env;
  std::unique_ptr<Engine> engine;
  std::unique_ptr<views::Views> views;
  ErrorCode error;
  std::uint64_t acknowledged = 0;  // records, in all
  std::uint64_t refused = 0;       // requests

 private:
  struct Sent {
    TestRequest request;
    std::string key;
    bool settled = false;
    WallTime not_before{};              // what the log's clock showed when it was sent
    std::optional<WallTime> not_after;  // and after it was acknowledged
  };
  void drop();
  void send();
  void settle();
  void change_streams();
  Result<void> archive(const std::shared_ptr<Stream>& stream);
  void jump();
  void check_log(std::vector<std::string>& texts);
  void check_requests(const std::vector<std::string>& texts);
  void check_archive(const std::vector<std::string>& texts);
  void check_tally(std::uint64_t records);
  void check_view(const std::vector<std::string>& texts);
  void check_times();
  bool caught_up() const;
  Log& log() const { return engine->find("a")->log(); }

  const SimWith with_;
  Engine::Options options_;
  SimRandom random_;
  std::vector<std::unique_ptr<Sent>> sent_;
  std::map<std::uint64_t, std::string> published_;  // acknowledged or seen
  std::map<std::string, bool> others_;              // streams that come and go: there or not
  std::set<std::string> doubtful_;                  // those whose last change was not answered
  std::size_t unsettled_ = 0;                       // the first request without an answer
  std::uint64_t made_ = 0;
  std::uint64_t answers_ = 0;
};

}  // namespace tidemill
