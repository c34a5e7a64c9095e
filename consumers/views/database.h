#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "consumers/views/write_set.h"
#include "storage/base/finding.h"
#include "storage/base/result.h"
#include "storage/seam/env.h"

namespace tidemill::views {

class Database;

// One RocksDB column family: all that is kept of one view. Shared by its users; the handle goes with the last of them.
class Family {
 public:
  virtual ~Family() = default;
  virtual const std::string& name() const = 0;
};

// Rows in order of their keys' bytes, within [lower, upper). Must not outlive its snapshot.
class Cursor {
 public:
  virtual ~Cursor() = default;
  virtual bool valid() const = 0;  // false: beyond the end, or an error: see error()
  virtual std::string_view key() const = 0;
  virtual std::string_view value() const = 0;
  virtual void next() = 0;
  virtual void previous() = 0;
  virtual void seek(std::string_view key) = 0;  // the first at or after it
  virtual void seek_to_last() = 0;
  virtual ErrorCode error() const = 0;
};

// The whole database as it was at one moment, all families. Any thread may read from it.
class Snapshot {
 public:
  virtual ~Snapshot() = default;
  virtual Result<std::optional<std::string>> get(const Family& family, std::string_view key) const = 0;
  // Bounds are copied. An empty upper bound: none.
  virtual std::unique_ptr<Cursor> cursor(const Family& family, std::string_view lower,
                                         std::string_view upper) const = 0;
};

// RocksDB's one home: one database under DATA/views, its write-ahead log off. What was written survives a crash only
// when it was flushed; a family falls back as a whole, to the state after some earlier write, never between two.
// Any thread. Blocks on the disk, which it reaches through the seam; env.files outlives all families and snapshots.
// Errors: ENOSPC and EAGAIN, until there has been room for some seconds; StorageErrc::damaged; EIO, after which it only
// reads until it is opened again. RocksDB's own words go to the log.
class Database {
 public:
  static Result<std::unique_ptr<Database>> open(Env& env, const std::string& directory, std::uint64_t memory_bytes);
  // To be read only: nothing on the disk is altered, a write fails. Of a database that nobody else has open.
  static Result<std::unique_ptr<Database>> open_read_only(Env& env, const std::string& directory,
                                                          std::uint64_t memory_bytes);
  // The same, with the cache of `other` instead of one of its own, and few descriptors: for one that is read beside it.
  static Result<std::unique_ptr<Database>> open_beside(const Database& other, Env& env, const std::string& directory);
  // The same as open(); but a damaged one is renamed to `directory`.damaged, in the place of an older one, and an empty
  // one is begun: nothing in it is the only copy.
  static Result<std::unique_ptr<Database>> open_or_begin_anew(Env& env, const std::string& directory,
                                                              std::uint64_t memory_bytes);
  ~Database();

  std::vector<std::string> names() const;                           // of the families that are there
  Result<std::shared_ptr<Family>> family(const std::string& name);  // made when missing
  Result<void> drop(const std::string& name);                       // readers that hold it may finish

  // A second database in `directory`, which must not be there, with all that is in this one now: its files are links,
  // so it takes a moment and no room. Its names are on disk, that of `directory` is not. All families are flushed for
  // it, one after the other; or what is not being flushed yet is left out, and that is waited for.
  enum class Unflushed { flush, leave_out };
  Result<void> copy_to(const std::string& directory, Unflushed what = Unflushed::flush) const;
  Result<void> wait_for_flushes() const;  // that are under way, of all families

  // Reads every block of every file of it and says which are damaged, one finding a file.
  void verify_files(const FindingSink& sink, const std::string& kind, const std::string& remedy) const;

  struct FamilyWrite {
    const Family* family;
    const WriteSet* set;
  };
  // Readers see all of it or nothing, whatever the families. After a crash each family has all of its own or nothing.
  Result<void> write(std::span<const FamilyWrite> writes);
  Result<void> write(const Family& family, const WriteSet& set) {
    const FamilyWrite one{&family, &set};
    return write({&one, 1});
  }
  // In the order of the keys; nullopt: not there. The present state.
  Result<void> get(const Family& family, std::span<const std::string_view> keys,
                   std::vector<std::optional<std::string>>& out) const;
  // What a crash now would leave of this key.
  Result<std::optional<std::string>> get_persisted(const Family& family, std::string_view key) const;
  // Of a snapshot for `memory` get() takes a moment: EAGAIN where it would have to wait for the disk, and for more than
  // 64 KiB. It has no cursors.
  enum class Reads { disk, memory };
  std::unique_ptr<Snapshot> snapshot(Reads from = Reads::disk) const;

  // `wait`: until it is on disk. The family must not be written to meanwhile.
  Result<void> flush(const Family& family, bool wait);
  // For metrics: RocksDB's integer property, 0 where it has none. The first is the sum over all families; the second is
  // for what the database has only once (snapshots, running jobs), which that sum would count once for each family.
  std::uint64_t property(std::string_view name) const;
  std::uint64_t whole_property(std::string_view name) const;

  Result<void> close();  // flushes all families

 private:
  struct Impl;
  explicit Database(std::unique_ptr<Impl> impl);
  static Result<std::unique_ptr<Database>> open(Env& env, const std::string& directory, std::uint64_t memory_bytes,
                                                bool read_only, const Impl* beside = nullptr);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidemill::views
