#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "storage/log/commit_writer.h"
#include "storage/log/recovery.h"
#include "storage/log/segment_file.h"

namespace tidemill {

// The state machine behind the log's end: which segment, which offset, what to do when a call to the disk fails. Owned
// by the log and used by one task at a time; only what is marked so is for everybody.
//
//   writing ──flush failed──► seals the segment with a new one ──also failed──► not accepting (until the next start)
//                                                              └─disk full────► tries again with the next commit
class SegmentWriter {
 public:
  SegmentWriter(Env& env, std::string directory, const LogOptions& options, const RecoveredLog& log);

  struct Commit {
    ErrorCode error;        // nothing of it counts. flush_failed: the outcome is unknown
    bool rolled = false;    // it opened a new segment: see segment()
    EncodedCommit encoded;  // in the encoder's buffers
    ByteOffset offset;
    ByteOffset end;
    std::chrono::nanoseconds flush_time{};
  };
  // Encodes, writes and flushes. When it returns without error the commit is on disk.
  Commit write(const Append* head, CommitWriter& encoder);

  // After a failed write(): the segment that seals the old one, if there is a new one; once.
  std::shared_ptr<SegmentFile> take_seal() { return std::move(seal_); }
  bool accepting() const { return accepting_; }
  // False: a flush has failed, and there was no room yet for the segment that says so.
  bool sealed() const { return !seal_due_; }

  const std::shared_ptr<SegmentFile>& segment() const { return segment_; }
  ByteOffset end() const { return end_; }
  Sequence next_sequence() const { return next_; }
  std::uint64_t last_checksum() const { return last_checksum_; }
  std::uint64_t requests() const { return requests_; }
  WallTime running_max() const { return running_max_; }
  const std::optional<SourcePosition>& source() const { return source_; }

  // How large a segment somebody should fill with zeros now, 0: none. Whoever asked must offer_fill() in the end.
  std::uint64_t fill_wanted();

  // Any thread.
  Epoch epoch() const { return Epoch(epoch_.load(std::memory_order_relaxed)); }
  std::vector<EpochStart> epochs() const;
  std::string fill_path();
  void offer_fill(std::shared_ptr<SegmentFill> fill);  // nullptr: it failed
  void drop_fill();
  void set_log_start(Sequence start) { log_start_.store(start.value(), std::memory_order_relaxed); }  // for new headers

 private:
  ErrorCode write_here(const EncodedCommit& commit);
  File* through();
  ErrorCode write_rolled(EncodedCommit& commit, Commit& result);
  void flush_failed(const ErrorCode& cause, const std::string& path);
  ErrorCode seal();
  SegmentHeader successor_header();
  Result<std::shared_ptr<SegmentFill>> filled(std::uint64_t bytes_min, std::uint64_t bytes);
  void use(std::shared_ptr<SegmentFile> segment);
  std::uint64_t size_after_this() const;

  Env& env_;
  const std::string directory_;
  const LogOptions options_;

  // The writing task's.
  std::shared_ptr<SegmentFile> segment_;
  std::unique_ptr<File> through_;  // of segment_; see through()
  bool through_missing_ = false;
  ByteOffset end_;
  Sequence next_;
  std::uint64_t last_checksum_;
  std::uint64_t requests_;
  WallTime running_max_;
  std::optional<SourcePosition> source_;
  SegmentId last_id_;
  std::uint64_t held_bytes_;  // of all segments; grows only
  std::shared_ptr<SegmentFile> seal_;
  bool seal_due_ = false;
  bool accepting_ = true;
  bool no_space_ = false;  // said so already

  std::atomic<std::uint32_t> epoch_;
  std::atomic<std::uint64_t> log_start_;
  std::atomic<std::uint64_t> fills_{0};
  mutable std::mutex mutex_;  // guards what follows
  std::vector<EpochStart> epochs_;
  std::shared_ptr<SegmentFill> fill_;
  bool filling_ = false;
  bool fill_failed_ = false;  // for this segment's successor; the writer will make it
};

}  // namespace tidemill
