#pragma once

#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "storage/base/check.h"
#include "tests/support/sim_file_system.h"

// The inside of SimFileSystem: what is on disk, what is only in the cache, and what a crash makes of the two.

namespace tidemill {

inline constexpr std::uint64_t kSector = 512;

// A change of a file's bytes that was not synced. A write holds whole sectors as they stood right after it, as the
// cache would write them out, so that each sector's history is a list of versions.
struct PendingWrite {
  bool is_truncate = false;
  std::uint64_t offset = 0;  // a multiple of kSector
  std::string bytes;
  std::uint64_t size = 0;  // of the file after it
};

struct Node {
  std::uint64_t id = 0;
  bool is_directory = false;
  std::int64_t modified_s = 0;

  std::string current;  // as readers see it
  std::string durable;
  std::vector<PendingWrite> pending;
  int late_error = 0;  // of writing out in the background; the next sync's answer

  std::map<std::string, std::shared_ptr<Node>> names;  // as readers see it
  std::map<std::string, std::shared_ptr<Node>> durable_names;
};

// A change of names that was not synced: takes effect whole or not at all. A null node removes the name.
struct NameChange {
  struct Entry {
    std::shared_ptr<Node> directory;
    std::string name;
    std::shared_ptr<Node> node;
  };
  std::vector<Entry> entries;
};

struct SimFileSystem::State {
  State(std::uint64_t seed, Clock* the_clock) : random(seed), clock(the_clock) { root = make_node(true); }

  std::mutex mutex;
  SimRandom random;
  Clock* const clock;
  std::shared_ptr<Node> root;
  std::uint64_t next_id = 1;
  std::list<NameChange> name_changes;
  std::vector<std::string> graveyard;  // bytes of removed files, for stale sectors

  bool powered = true;
  std::uint64_t generation = 1;  // files and locks of another one are dead
  std::set<const Node*> locked;
  std::uint64_t step_count = 0;
  std::uint64_t cut_at = 0;
  std::uint64_t kill_at = 0;
  bool killed = false;  // the process is dead and nobody has said kill(): no call works, nothing is lost
  std::vector<DiskStep> journal;
  std::vector<DiskHint> hints;
  std::function<void(const DiskStep&)> hook;
  std::vector<DiskFault> faults;
  std::uint64_t faults_hit = 0;
  std::uint64_t capacity = 1ull << 40;

  std::shared_ptr<Node> make_node(bool is_directory);
  std::uint64_t used() const;

  // Paths. find() gives null and sets errno; find_parent() also gives the last name.
  std::shared_ptr<Node> find(const std::string& path) const;
  std::shared_ptr<Node> find_parent(const std::string& path, std::string& name) const;

  // What is to happen to a call: first comes the fault, then the cut.
  struct Verdict {
    int error = 0;                  // answer this
    bool applies = true;            // takes effect all the same (not synced)
    std::uint64_t partial = ~0ull;  // of a failing write: bytes that go in
    int late = 0;                   // of a write: what the file's next sync answers
  };
  Verdict begin(std::unique_lock<std::mutex>& lock, DiskOp op, const std::string& path, std::uint64_t offset = 0,
                std::uint64_t length = 0);

  void change_names(NameChange change);  // now in the cache
  void bury(const Node& node);

  // Bytes.
  static void write(Node& node, std::uint64_t offset, std::string_view bytes);
  static void truncate(Node& node, std::uint64_t size);
  static void sync(Node& node);
  void fail_sync(Node& node);
  void sync_names(const Node& directory);

  // Crash.
  void resolve(Node& node, CrashPolicy::Keep keep, CrashPolicy::Fill fill, SimRandom& dice);
  void resolve_names(CrashPolicy::Keep keep, SimRandom& dice);
  void crash(const CrashPolicy& policy);
};

// The errno of the last failed find().
ErrorCode sim_error(int value);

}  // namespace tidemill
