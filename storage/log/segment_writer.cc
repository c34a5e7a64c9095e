#include "storage/log/segment_writer.h"

#include <algorithm>
#include <array>

#include "storage/base/check.h"
#include "storage/base/errors.h"
#include "storage/seam/clock.h"
#include "storage/seam/random.h"

namespace tidemill {
namespace {

constexpr std::uint64_t kSegmentPartOfLog = 8;
constexpr std::uint64_t kFillAheadFraction = 8;  // begin when an eighth of the present segment is used

bool disk_full(const ErrorCode& e) {
  return e == boost::system::errc::no_space_on_device || e.value() == 122;  // EDQUOT has no portable name
}

}  // namespace

SegmentWriter::SegmentWriter(Env& env, std::string directory, const LogOptions& options, const RecoveredLog& log)
    : env_(env),
      directory_(std::move(directory)),
      options_(options),
      segment_(log.segments.active),
      end_(log.segments.end),
      next_(log.next),
      last_checksum_(log.last_checksum),
      requests_(log.requests),
      running_max_(log.running_max),
      source_(log.source),
      last_id_(log.last_id),
      held_bytes_(log.segments.bytes),
      epoch_(segment_->header.epoch.value()),
      log_start_(log.log_start.value()),
      epochs_(segment_->header.epochs) {}

SegmentWriter::Commit SegmentWriter::write(const Append* head, CommitWriter& encoder) {
  Commit result;
  CHECK(accepting_);
  if (seal_due_) {
    if (auto e = seal()) {
      result.error = e;
      return result;
    }
  }
  const WallTime wall = env_.clock.wall();
  CommitWriter::Context context;
  context.salt = segment_->header.salt;
  context.incarnation = segment_->header.incarnation;
  context.epoch = epoch();
  context.first = next_;
  context.wall = wall;
  context.running_max = std::max(running_max_, wall);
  std::optional<SourcePosition> source;
  for (const Append* a = head; a != nullptr; a = a->next_queued)
    if (a->source) source = a->source;
  std::array<std::byte, kSourcePositionBytes> source_bytes;
  const CommitExtension extension{kSourceExtension, source_bytes};
  if (source) {
    write_source_position(*source, source_bytes);
    context.extensions = {&extension, 1};
  }
  result.encoded = encoder.encode(head, context);
  const EncodedCommit& commit = result.encoded;

  const MonotonicTime begin = env_.clock.monotonic();
  if (end_.value() + commit.bytes.size() <= segment_->header.bytes) {
    result.error = write_here(commit);
  } else {
    result.error = write_rolled(result.encoded, result);
  }
  result.flush_time = env_.clock.monotonic() - begin;
  if (result.error) return result;

  const CommitHeader& h = commit.header;
  result.offset = end_;
  end_ = result.end = ByteOffset(end_.value() + h.length);
  next_ = h.end();
  running_max_ = h.running_max;
  last_checksum_ = h.checksum;
  requests_ += h.requests;
  if (source) source_ = source;
  return result;
}

ErrorCode SegmentWriter::write_here(const EncodedCommit& commit) {
  File* const past_cache = through();
  auto r = (past_cache != nullptr ? *past_cache : *segment_->file).write_at(end_, commit.bytes);
  // A failed write leaves any part of the commit in the file: as unknown as a failed flush.
  if (r && past_cache == nullptr) r = segment_->file->sync_data();
  if (r) return {};
  flush_failed(r.error(), segment_->path);
  return make_error_code(StorageErrc::flush_failed);
}

// The segment's file for writing past the page cache; nullptr: as ever, not wished for or not to be had. Opened by the
// first commit that needs it: an idle stream has one descriptor.
File* SegmentWriter::through() {
  if (!options_.write_through || through_missing_) return nullptr;
  if (!through_) {
    auto opened = env_.files.open(segment_->path, OpenMode::write_through);
    if (!opened) {
      through_missing_ = true;
      env_.logger.warning("cannot write past the page cache here; commits are written and flushed as by default",
                          {{"file", segment_->path}, {"cause", opened.error().message()}});
      return nullptr;
    }
    through_ = std::move(*opened);
  }
  return through_.get();
}

// Nothing is written where recovery would look until the new segment's flush: what fails before it is an ordinary "no".
ErrorCode SegmentWriter::write_rolled(EncodedCommit& commit, Commit& result) {
  const std::uint64_t need = kSegmentHeaderBytes + commit.bytes.size();
  auto fill = filled(need, size_after_this());
  if (!fill) {
    if (!no_space_) {
      env_.logger.error("no new segment; appends are refused until there is room",
                        {{"directory", directory_}, {"cause", fill.error().message()}});
    }
    no_space_ = true;
    return fill.error();
  }
  SegmentHeader header = successor_header();
  header.initial_bytes = commit.header.length;
  header.initial_last = commit.header.last();
  reseal_commit(commit.bytes, commit.header, header.salt);
  auto made = (*fill)->put_to_use(directory_, std::move(header), commit.bytes);
  if (made.error && !made.unknown) return made.error;
  if (made.error) {
    flush_failed(made.error, directory_);
    return make_error_code(StorageErrc::flush_failed);
  }
  no_space_ = false;
  use(std::move(made.segment));
  result.rolled = true;
  return {};
}

void SegmentWriter::flush_failed(const ErrorCode& cause, const std::string& path) {
  env_.logger.error("a flush failed; the outcome of its records is unknown, writing goes on in a new segment",
                    {{"file", path}, {"offset", std::to_string(end_.value())}, {"cause", cause.message()}});
  epoch_.fetch_add(1, std::memory_order_relaxed);
  {
    std::lock_guard lock(mutex_);
    epochs_ = add_epoch(std::move(epochs_), {epoch(), next_});
  }
  seal_due_ = true;
  static_cast<void>(seal());
}

// A new segment that names where the old one ends. No error: it is in use.
ErrorCode SegmentWriter::seal() {
  auto fill = filled(kSegmentHeaderBytes + kBlockBytes, round_up(options_.segment_bytes_first, kBlockBytes));
  ErrorCode error;
  if (!fill) {
    error = fill.error();
  } else {
    auto made = (*fill)->put_to_use(directory_, successor_header(), {});
    error = made.error;
    if (!error) {
      use(std::move(made.segment));
      seal_ = segment_;
      seal_due_ = false;
      return {};
    }
  }
  if (disk_full(error)) {
    env_.logger.warning("the segment after a failed flush does not fit the disk; tried again with the next append",
                        {{"directory", directory_}});
    return error;
  }
  accepting_ = false;
  env_.logger.error(
      "the segment after a failed flush could not be made: the stream takes no records until the next start",
      {{"directory", directory_}, {"cause", error.message()}});
  return make_error_code(StorageErrc::not_accepting);
}

SegmentHeader SegmentWriter::successor_header() {
  SegmentHeader h;
  h.id = last_id_ = SegmentId(last_id_.value() + 1);
  while (h.salt == 0) h.salt = env_.random.next();
  h.incarnation = segment_->header.incarnation;
  h.epoch = epoch();
  h.log_start = Sequence(log_start_.load(std::memory_order_relaxed));
  h.first = next_;
  h.created = env_.clock.wall();
  h.running_max = running_max_;
  h.requests_before = requests_;
  h.source = source_;
  h.predecessor = {segment_->name.id, end_, Sequence(next_.value() - 1), last_checksum_};
  std::lock_guard lock(mutex_);
  h.epochs = epochs_;
  return h;
}

void SegmentWriter::use(std::shared_ptr<SegmentFile> segment) {
  segment_ = std::move(segment);
  through_.reset();
  end_ = ByteOffset(kSegmentHeaderBytes);
  held_bytes_ += segment_->header.bytes;
  std::lock_guard lock(mutex_);
  fill_failed_ = false;
}

// Twice this one, but no more than a part of what the log holds: so the zeros that lie ready, in the active segment and
// in its successor, are always few beside the records, also of a thousand streams that once were busy.
std::uint64_t SegmentWriter::size_after_this() const {
  const std::uint64_t wanted = std::min(segment_->header.bytes * 2, held_bytes_ / kSegmentPartOfLog);
  return round_up(std::clamp(wanted, options_.segment_bytes_first, options_.segment_bytes_max), kBlockBytes);
}

// The one that was filled ahead of time, if it is large enough; else one made here and now.
Result<std::shared_ptr<SegmentFill>> SegmentWriter::filled(std::uint64_t bytes_min, std::uint64_t bytes) {
  {
    std::lock_guard lock(mutex_);
    if (fill_ && fill_->bytes() >= bytes_min) return std::move(fill_);
  }
  bytes = std::max(bytes, round_up(bytes_min, kBlockBytes));
  // Asked first, so that a full disk is not filled with zeros to the last block at every append; and where it is only
  // nearly full, a small segment will do.
  if (const auto space = env_.files.space(directory_); space && space->free_bytes < bytes) {
    bytes = round_up(std::max(bytes_min, options_.segment_bytes_first), kBlockBytes);
    if (space->free_bytes < bytes) return make_error_code(boost::system::errc::no_space_on_device);
  }
  ASSIGN_OR_RETURN(auto fill, SegmentFill::create(env_.files, fill_path(), bytes));
  while (!fill->filled()) RETURN_IF_ERROR(fill->step());
  return fill;
}

std::string SegmentWriter::fill_path() {
  return directory_ + "/" + std::to_string(++fills_) + std::string(kFillSuffix);
}

std::vector<EpochStart> SegmentWriter::epochs() const {
  std::lock_guard lock(mutex_);
  return epochs_;
}

std::uint64_t SegmentWriter::fill_wanted() {
  if (!accepting_ || end_.value() < kSegmentHeaderBytes + segment_->header.bytes / kFillAheadFraction) return 0;
  std::lock_guard lock(mutex_);
  if (fill_ || filling_ || fill_failed_) return 0;
  filling_ = true;
  return size_after_this();
}

void SegmentWriter::offer_fill(std::shared_ptr<SegmentFill> fill) {
  std::lock_guard lock(mutex_);
  filling_ = false;
  fill_failed_ = !fill;  // once a segment is enough
  fill_ = std::move(fill);
}

void SegmentWriter::drop_fill() {
  std::shared_ptr<SegmentFill> dropped;
  std::lock_guard lock(mutex_);
  dropped = std::move(fill_);
}

}  // namespace tidemill
