#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "storage/log/index_file.h"
#include "storage/log/log.h"
#include "storage/log/segment_file.h"

namespace tidemill {

// Writes a sealed segment's index, not flushed. Failing is harmless: it is made again when needed.
void store_index(Env& env, const std::string& directory, const SegmentFile& segment,
                 const std::vector<IndexEntry>& entries, ByteOffset end);

// The table of a log's segments, the index of the active one, and what readers need to find their way: the only thing
// that the writer and the readers share besides the durable sequence. In memory: 16 bytes a segment, 32 bytes a commit
// of the active segment, a few open files. Any thread; calls marked so read the disk (not under the lock).
class Segments {
 public:
  struct Start {
    std::vector<SegmentName> names;  // ascending; the last is the active one
    std::shared_ptr<SegmentFile> active;
    std::vector<IndexEntry> entries;  // of the active one
    ByteOffset end;                   // of its last commit
    std::uint64_t bytes = 0;          // of all files
    std::vector<LostRange> damage;
  };
  Segments(Env& env, std::string directory, Start start);

  // Writer's. After the flush, before the durable sequence moves.
  void published(const IndexEntry& entry, ByteOffset end);
  // The active segment becomes a sealed one; `next` is the active one now. Its index must be written some time:
  // write_indexes().
  void rolled(std::shared_ptr<SegmentFile> next);
  void write_indexes();  // disk; of all segments that were sealed since. Failing is harmless.
  std::shared_ptr<SegmentFile> active() const;

  // A segment as readers see it: what counts ends at `end` and at the record `last`.
  struct View {
    std::shared_ptr<SegmentFile> file;  // null: its header is damaged, nothing in it can be read
    SegmentName name;
    std::string path;
    ByteOffset end;
    Sequence last;
    bool active = false;
  };
  Result<View> view(Sequence s);  // disk; the segment where s belongs
  // Disk. Where to start reading for the records from `from` on; nullopt: no commit with such records is known.
  Result<std::optional<ByteOffset>> locate(const View& view, Sequence from);
  // Disk. The first record whose commit has a running maximum at or after `time`; `beyond` if there is none.
  Result<Sequence> find(WallTime time, Sequence start, Sequence beyond);

  std::vector<SegmentName> names() const;
  // Disk. What of the log lies before `start`, the first record of a segment, is forgotten, its files are removed. A
  // reader that is on its way there gets StorageErrc::before_start. Not from two threads at a time.
  void drop_before(Sequence start);
  std::string path(const SegmentName& name) const { return directory_ + "/" + segment_file_name(name); }
  // Disk. The header of a segment; null where it is damaged.
  Result<std::shared_ptr<SegmentFile>> open_or_null(const SegmentName& name);

  LogCut cut() const;  // all but incarnation and start
  void add_damage(const LostRange& lost);
  std::vector<LostRange> damage() const;
  std::uint64_t bytes() const;
  std::uint64_t count() const;

 private:
  using Entries = std::shared_ptr<const std::vector<IndexEntry>>;
  std::size_t position_of(Sequence s) const;  // in names_; under the lock
  Result<std::shared_ptr<SegmentFile>> open(const SegmentName& name);
  Result<View> view_of(const SegmentName& name);
  // Searches the entries of a segment, wherever they are.
  template <class Less>
  Result<std::optional<IndexEntry>> search(const View& view, Less less);
  // `unreadable`: the disk refused the rest of the segment; what was found before is good, but not kept.
  Entries rebuild(const View& view, ErrorCode& unreadable);
  std::string index_path(SegmentId id) const { return directory_ + "/" + index_file_name(id); }

  Env& env_;
  const std::string directory_;
  mutable std::mutex mutex_;
  std::vector<SegmentName> names_;
  std::shared_ptr<SegmentFile> active_;
  std::vector<IndexEntry> entries_;
  ByteOffset end_;
  Sequence last_;
  struct Sealed {
    std::shared_ptr<SegmentFile> file;
    Entries entries;
    ByteOffset end;
  };
  std::map<SegmentId, Sealed> sealed_;              // whose index is not written yet
  std::list<std::shared_ptr<SegmentFile>> opened_;  // the latest used first
  std::vector<LostRange> damage_;
  std::uint64_t bytes_ = 0;
  Sequence dropped_;  // what lies before it is gone: retention
};

}  // namespace tidemill
