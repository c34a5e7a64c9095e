#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "storage/seam/clock.h"
#include "storage/seam/file_system.h"
#include "tests/support/sim_random.h"

namespace tidemill {

// A disk in memory that does the worst that a real one may do. What the system must survive on it:
//
//   power cut at any call          cut_at_step(); what was not synced is kept, lost, reordered or torn, by CrashPolicy
//   torn write                     a sector (512 B) is old or new as a whole, a write of several may arrive in part
//   lost name                      a file created, renamed, linked or removed is there or not, until its directory was
//                                  synced; syncing the file does not save its name
//   size without bytes             a file that grew may keep its new size and lose the bytes: zeros, or stale bytes of
//                                  removed files stand there
//   failing call                   fail(): EIO, ENOSPC, ... at the n-th matching call, for once or for good
//   short write                    a failing write leaves any part of its bytes in the file
//   failed sync                    of what it should have flushed, each sector is on disk or lost for ever; the cache
//                                  goes on showing it all until drop_caches(), and the next sync succeeds and
//                                  saves nothing of it
//   late failure                   a write succeeds, its bytes and all others not yet synced never reach the disk, and
//                                  the file's next sync is the one that fails
//   full disk                      set_capacity(); writes that do not fit are ENOSPC after a part went in
//   rotten bit                     flip_bit()
//
// What it does not do: sectors that are neither old nor new, loss of what was synced, directories that mix up files.
//
// Paths are normalised; everything hangs below one root, which always exists ("a/b" is "/a/b"). Any thread (one
// mutex). All choices come from the seed.
struct CrashPolicy {
  enum class Keep {
    none,    // all that was not synced is gone
    all,     // all of it arrived
    prefix,  // up to some call in time, the last one torn
    any,     // each sector, each change of a name by itself (a later change of the same name needs the earlier)
    random,  // one of these, drawn for each file
  };
  enum class Fill { zeros, stale, random };
  Keep writes = Keep::random;
  Keep names = Keep::random;
  Fill fill = Fill::random;  // sectors that a file grew by and whose bytes are lost
};

// Kinds of calls, as bits. Those up to `change` are steps (they change what a crash could leave behind).
enum class DiskOp : std::uint32_t {
  write = 1,
  sync_data = 2,
  truncate = 4,
  create = 8,  // open() that made the file
  rename = 16,
  link = 32,
  remove = 64,
  create_directory = 128,
  sync_directory = 256,
  change = 511,
  open = 512,
  read = 1024,
  list = 2048,
  lock = 4096,
};

struct DiskStep {
  std::uint64_t number;  // from 1
  DiskOp op;
  std::string path;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

// What a file was told about its pages. Nothing comes of it.
struct DiskHint {
  enum Kind { read_ahead, drop_cache } kind;
  std::string path;
  std::uint64_t offset;
  std::uint64_t length;
};

struct DiskFault {
  DiskOp op;                  // or several: DiskOp(int(a) | int(b))
  std::string path_contains;  // empty: any
  std::uint64_t nth = 1;      // the n-th matching call from now
  std::uint64_t times = 1;    // so many in a row
  int error = 5;              // EIO
  // write: how many of its bytes go in before the error; more than it has: drawn from the seed
  std::uint64_t partial = std::numeric_limits<std::uint64_t>::max();
  // write: succeeds, and the kernel fails to write it out: the next sync of the file says so
  bool late = false;
};

class SimFileSystem final : public FileSystem {
 public:
  explicit SimFileSystem(std::uint64_t seed, Clock* clock = nullptr);
  ~SimFileSystem() override;

  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Result<void> rename(const std::string& from, const std::string& to) override;
  Result<void> link(const std::string& from, const std::string& to) override;
  Result<void> remove(const std::string& path) override;
  Result<void> create_directory(const std::string& path) override;
  Result<void> sync_directory(const std::string& path) override;
  Result<std::vector<DirectoryEntry>> list(const std::string& path) override;
  Result<FileInfo> info(const std::string& path) override;
  Result<DiskSpace> space(const std::string& path) override;
  Result<std::unique_ptr<DirectoryLock>> lock(const std::string& path) override;

  // Power. From power_off() on every call fails with EIO (so that destructors of the dead process harm nothing);
  // crash() decides what is left and starts again: files opened before stay dead, locks are free. crash() without
  // power_off() is a cut right now.
  void power_off();
  void crash(const CrashPolicy& policy = {});
  // The process ends, the machine does not (kill -9): nothing is lost, open files die, locks are free.
  void kill();
  bool powered() const;

  // Steps are calls that change something, numbered from 1 over the whole life of the disk. The power goes during step
  // `number`: it takes effect as if not yet synced, and fails. To cut a scenario everywhere, run it again and again
  // with 1, 2, 3 ... until the power stays on.
  void cut_at_step(std::uint64_t number);
  // The process dies before step `number` takes effect: from then on its calls fail. kill() begins the next life.
  void kill_at_step(std::uint64_t number);
  std::uint64_t steps() const;
  std::vector<DiskStep> journal() const;  // all steps so far; shrinks only by clear_journal()
  void clear_journal();
  std::vector<DiskHint> take_hints();  // since the last time
  // Called before each step takes effect, outside the lock. For "while this is being flushed, do that".
  void on_step(std::function<void(const DiskStep&)> hook);

  void fail(DiskFault fault);
  void clear_faults();
  std::uint64_t faults_hit() const;

  void set_capacity(std::uint64_t bytes);  // of all files' sizes together
  std::uint64_t used() const;
  // Forgets clean pages: from now on reads see what is on disk (after a failed sync, that is less than was written).
  void drop_caches();

  // Damage, at once and on disk.
  Result<void> flip_bit(const std::string& path, std::uint64_t offset, unsigned bit);
  Result<void> overwrite(const std::string& path, std::uint64_t offset, std::string_view bytes);
  Result<void> cut_file(const std::string& path, std::uint64_t size);

  // Looking at it without the calls counting for faults.
  std::optional<std::string> content(const std::string& path) const;  // as a reader sees it
  std::optional<std::string> durable_content(const std::string& path) const;
  std::vector<std::string> all_files() const;  // full paths, sorted

  struct State;  // sim_disk.h

 private:
  std::shared_ptr<State> state_;  // open files share it
};

}  // namespace tidemill
