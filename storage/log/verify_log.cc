#include "storage/log/verify_log.h"

#include <algorithm>
#include <limits>

#include "storage/base/errors.h"
#include "storage/log/block.h"
#include "storage/log/commit_reader.h"
#include "storage/log/segment_file.h"
#include "storage/log/segment_scanner.h"
#include "storage/log/start_file.h"
#include "storage/log/verify_side_files.h"

namespace tidemill {
namespace {

constexpr std::size_t kReadBytes = 1 << 20;

class Verifier {
 public:
  Verifier(FileSystem& files, const std::string& directory, const VerifyLogOptions& options, const FindingSink& sink)
      : files_(files), directory_(directory), options_(options), sink_(sink) {}

  Result<VerifiedLog> run();

 private:
  using Segment = std::shared_ptr<SegmentFile>;  // null: nothing in it can be read
  Result<Segment> open(const SegmentName& name);
  Result<bool> retired(std::size_t i);
  void begins(const SegmentName& name, const Segment& segment, const Segment& before);
  Result<void> walk(const SegmentFile& s, std::size_t i, const Segment& next);
  void commit(SegmentScanner& scanner, const SegmentFile& s, const SegmentScanner::Found& found);
  void sealed_by(const SegmentFile& s, const SegmentHeader& next);
  Result<void> tail(const SegmentFile& s, std::uint64_t at, std::uint64_t size);
  void lose(const char* kind, const std::string& file, std::uint64_t offset, Sequence last, const std::string& text);
  void damage(const char* kind, const std::string& file, std::uint64_t offset, const std::string& text) {
    lose(kind, file, offset, Sequence(), text);
  }
  void note(const char* kind, const std::string& file, std::uint64_t offset, const std::string& text) {
    sink_({Finding::Grade::note, kind, file, ByteOffset(offset), {}, {}, text});
  }
  std::string path_of(const SegmentName& name) const { return directory_ + "/" + segment_file_name(name); }

  FileSystem& files_;
  const std::string& directory_;
  const VerifyLogOptions& options_;
  const FindingSink& sink_;
  const FindingSink counting_ = [this](const Finding& f) {
    if (f.grade == Finding::Grade::damage) ++out_.damages;
    sink_(f);
  };
  LogLayout layout_;
  VerifiedLog out_;
  std::optional<VerifyRequests> snapshot_;

  // As of the commit before.
  Sequence expected_;
  std::uint64_t requests_ = 0;
  std::uint64_t last_checksum_ = 0;
  WallTime running_max_{};
  bool clean_ = true;      // nothing of this segment is damaged
  bool mark_met_ = false;  // a commit ends where the mark says
  SegmentId missing_;      // that has been said
  std::vector<IndexEntry> entries_;
};

// Records from expected_ to `last` are gone, if there are any. Goes on behind them.
void Verifier::lose(const char* kind, const std::string& file, std::uint64_t offset, Sequence last,
                    const std::string& text) {
  ++out_.damages;
  clean_ = false;
  Finding f{Finding::Grade::damage, kind, file, ByteOffset(offset), {}, {}, text};
  if (last >= expected_ && last.value() != 0) {
    f.first = expected_;
    f.last = last;
    if (options_.visitor != nullptr) options_.visitor->lost(expected_, last);
    expected_ = tidemill::next(last);
  }
  sink_(f);
}

Result<Verifier::Segment> Verifier::open(const SegmentName& name) {
  auto s = std::make_shared<SegmentFile>();
  s->name = name;
  s->path = path_of(name);
  auto file = files_.open(s->path, OpenMode::read);
  if (!file) {
    if (file.error() != boost::system::errc::no_such_file_or_directory) return file.error();
    return Segment();  // said where it is known which records it held
  }
  s->file = std::move(*file);
  AlignedBuffer buffer;
  bool found = false;
  int newer = 0;
  for (std::uint64_t copy = 0; copy < 2; ++copy) {
    const std::span<std::byte> block(buffer.reserve(kBlockBytes), kBlockBytes);
    const auto n = s->file->read_at(ByteOffset(copy * kBlockBytes), block);
    const bool whole = n && *n == kBlockBytes;
    auto header = whole ? read_segment_header(block) : std::nullopt;
    if (whole && segment_version(block) > kSegmentVersion) ++newer;
    if (!header) {
      damage("header", s->path, copy * kBlockBytes,
             n ? "This copy of the segment's header is damaged." : "The disk refuses to read: " + n.error().message());
    } else if (header->id != name.id || header->first != name.first || header->incarnation != layout_.incarnation) {
      damage("header", s->path, copy * kBlockBytes, "This header belongs to another segment or another log.");
    } else if (!found) {
      s->header = std::move(*header);
      found = true;
    }
  }
  if (newer == 2) return make_error_code(StorageErrc::layout_too_new);
  return found ? s : Segment();
}

Result<VerifiedLog> Verifier::run() {
  ASSIGN_OR_RETURN(layout_, read_layout(files_, directory_, options_));
  snapshot_.emplace(files_, directory_, layout_.incarnation, counting_);
  out_.cut.incarnation = layout_.incarnation;
  out_.cut.start = Sequence(1);
  if (layout_.foreign_mark) damage("mark", directory_ + "/mark", 0, "The durable mark belongs to another log.");
  if (!options_.cut) verify_mark_slots(files_, directory_, counting_);
  if (!options_.cut) verify_start_slots(files_, directory_, counting_);
  for (const SegmentName& name : layout_.superseded)
    note("leftover", path_of(name), 0,
         "A later segment has replaced this one, or it lies before the log's start; the next start removes it.");

  Segment before;
  Segment here;
  if (!layout_.names.empty()) {
    ASSIGN_OR_RETURN(here, open(layout_.names.front()));
  }
  expected_ = layout_.names.empty() ? Sequence(1) : layout_.names.front().first;
  for (std::size_t i = 0; i < layout_.names.size(); ++i) {
    const SegmentName& name = layout_.names[i];
    const bool last = i + 1 == layout_.names.size();
    Segment next;
    begins(name, here, before);
    if (!last) {
      ASSIGN_OR_RETURN(next, open(layout_.names[i + 1]));
    }
    bool gone = false;
    if (!here) {
      ASSIGN_OR_RETURN(gone, retired(i));
    }
    if (gone) {  // no damage
      const Sequence after = layout_.names[i + 1].first;
      if (options_.visitor != nullptr) options_.visitor->lost(expected_, Sequence(after.value() - 1));
      expected_ = out_.cut.start = after;
      requests_ = next ? next->header.requests_before : requests_;
      last_checksum_ = next ? next->header.predecessor.checksum : last_checksum_;
    } else if (here) {
      clean_ = true;
      RETURN_IF_ERROR(walk(*here, i, next));
    } else {
      Sequence until = last ? name.first : Sequence(layout_.names[i + 1].first.value() - 1);
      if (last && options_.cut) until = options_.cut->last;
      if (last && layout_.mark && layout_.mark->segment >= name.id) until = layout_.mark->last;
      if (exists(files_, path_of(name))) {
        lose("header", path_of(name), 0, until, "Without a header nothing in this segment can be read.");
      } else {
        lose("missing", path_of(name), 0, until, "The segment is not there. Restore the directory from a backup.");
      }
    }
    ++out_.segments;
    before = here;
    here = next;
  }
  const auto& mark = layout_.mark;
  const bool beyond = mark && !options_.cut && (layout_.names.empty() || mark->segment > layout_.names.back().id);
  if (beyond && mark->last.value() != 0 && mark->last >= expected_)
    lose("missing", directory_, 0, mark->last, "The durable mark names a later segment, which is not there.");
  out_.cut.last = Sequence(expected_.value() - 1);
  out_.cut.segments = layout_.names;
  out_.requests = requests_;
  out_.entries = std::move(entries_);
  snapshot_->finish(out_.damages == 0 && out_.cut.start == Sequence(1));
  return std::move(out_);
}

// Whether retention has taken this one away since the cut. Asked when it is not there, so late enough.
Result<bool> Verifier::retired(std::size_t i) {
  if (!options_.cut || i + 1 == layout_.names.size() || exists(files_, path_of(layout_.names[i]))) return false;
  ASSIGN_OR_RETURN(const auto found, StartFile(files_, directory_).read());
  return found.start && found.start->incarnation == layout_.incarnation &&
         layout_.names[i + 1].first <= found.start->start;
}

// Whether it goes on where the one before it ended.
void Verifier::begins(const SegmentName& name, const Segment& segment, const Segment& before) {
  const bool first = name == layout_.names.front();
  if (segment) {
    out_.cut.epoch = segment->header.epoch;
    out_.cut.start = std::max({out_.cut.start, segment->header.log_start, layout_.start});
  }
  if (first) {
    // The newest header that can be read knows where the log begins.
    Sequence start = options_.cut ? options_.cut->start : Sequence(1);
    for (std::size_t i = layout_.names.size(); i-- > 0 && !options_.cut;) {
      const auto newest =
          open_segment(files_, directory_, layout_.names[i], OpenMode::read, layout_.incarnation, null_logger());
      if (!newest) continue;
      start = std::max((*newest)->header.log_start, layout_.start);
      break;
    }
    out_.cut.start = start;
    if (start > Sequence(1) && options_.visitor != nullptr)
      options_.visitor->lost(Sequence(1), Sequence(start.value() - 1));  // given up by retention: no damage
    if (start < name.first) {
      expected_ = start;
      lose("missing", directory_, 0, Sequence(name.first.value() - 1),
           "The segments with these records are not there.");
    }
    if (segment) {
      requests_ = segment->header.requests_before;
      last_checksum_ = segment->header.predecessor.checksum;
    }
    return;
  }
  if (name.first > expected_)
    lose("missing", directory_, 0, Sequence(name.first.value() - 1), "No segment holds these records.");
  if (!segment || !before) return;
  const SegmentHeader& h = segment->header;
  if (h.predecessor.id != SegmentId() && h.predecessor.id != before->name.id && h.predecessor.id != missing_)
    damage("missing", segment->path, 0,
           "The header names segment " + std::to_string(h.predecessor.id.value()) + " before it, which is not there.");
  if (out_.damages == 0 && h.requests_before != requests_)
    damage("header", segment->path, 0, "The header counts other keyed requests than the segments before it hold.");
}

Result<void> Verifier::walk(const SegmentFile& s, std::size_t i, const Segment& next) {
  const bool last = i + 1 == layout_.names.size();
  entries_.clear();
  ASSIGN_OR_RETURN(const std::uint64_t size, s.file->size());
  const bool sealed = next && next->header.predecessor.id == s.name.id;
  std::uint64_t end = std::min(s.header.bytes, size / kBlockBytes * kBlockBytes);
  std::optional<std::uint64_t> must_end;  // all up to there is known to have been durable
  if (sealed) must_end = next->header.predecessor.end.value();
  if (last && options_.cut) must_end = options_.cut->end.value();
  if (must_end) end = *must_end;
  Sequence until;  // the last record that belongs here, as far as that is known
  if (!last) until = Sequence(layout_.names[i + 1].first.value() - 1);
  if (last && options_.cut) until = options_.cut->last;

  SegmentScanner scanner(s, ByteOffset(kSegmentHeaderBytes), ByteOffset(end), SegmentScanner::Depth::whole, kReadBytes);
  bool readable = true;
  for (;;) {
    auto found = scanner.next();
    if (!found) {
      readable = false;
      Sequence through = until;
      if (last && layout_.mark) through = std::max(through, layout_.mark->last);
      lose("unreadable", s.path, scanner.position().value(), through,
           "The disk refuses to read from here on: " + found.error().message());
      break;
    }
    if (!*found) break;
    commit(scanner, s, **found);
  }
  const std::uint64_t at = scanner.position().value();
  if (readable && must_end && at < *must_end) {
    lose("commit", s.path, at, until, "There should be a commit here, and there is none that is valid.");
  } else if (readable && !last && expected_ <= until) {
    const SegmentId between = next ? next->header.predecessor.id : SegmentId();
    if (between > s.name.id) {
      missing_ = between;
      lose("missing", directory_, 0, until, "Segment " + std::to_string(between.value()) + " is not there.");
    } else {
      lose("commit", s.path, at, until, "The segment ends before its records do.");
    }
  } else if (readable && last && !options_.cut) {
    RETURN_IF_ERROR(tail(s, at, size));
  }
  out_.bytes += at;
  out_.cut.end = ByteOffset(at);
  if (s.header.initial_bytes != 0 && entries_.empty() && clean_ && !must_end)
    damage("commit", s.path, kSegmentHeaderBytes,
           "The header names a commit that was flushed with it: it is not there.");
  if (sealed && clean_) sealed_by(s, next->header);
  if (sealed && clean_) verify_index(files_, directory_, s, entries_, ByteOffset(at), counting_);
  return {};
}

void Verifier::commit(SegmentScanner& scanner, const SegmentFile& s, const SegmentScanner::Found& found) {
  const CommitHeader& h = found.header;
  const std::uint64_t at = found.offset.value();
  if (found.bad) {
    lose("commit", s.path, found.bad->value(), Sequence(h.first.value() - 1),
         "There should be a commit here, and there is none that is valid up to " + std::to_string(at) + ".");
  } else if (h.first > expected_) {
    lose("commit", s.path, at, Sequence(h.first.value() - 1), "Records are missing before this commit.");
  }
  if (h.first < expected_) return damage("commit", s.path, at, "This commit repeats records, and is ignored.");
  if (out_.damages == 0 && h.running_max < running_max_)
    damage("commit", s.path, at, "The running maximum of the clock goes back.");
  running_max_ = h.running_max;

  const auto bytes = scanner.bytes(at, h.length);
  auto block = std::make_shared<Block>(h, HashRange{});
  bool good = bytes.has_value();
  for (std::size_t l = 0; good && l < block->lanes(); ++l) {
    const Lane& lane = h.lane[block->lane_number(l)];
    good = read_lane(bytes->subspan(lane.offset, lane.extent), lane, block->lane(l));
  }
  RecordBatch batch;
  batch.next = h.first;
  std::uint64_t taken = 0;
  ReadOptions all;
  all.records_max = std::numeric_limits<std::uint32_t>::max();
  all.bytes_max = std::numeric_limits<std::uint64_t>::max();
  good = good && (h.count == 0 || block->take(h.last(), all, batch, taken) == Block::Taken::all) &&
         batch.records.size() == h.count;
  for (const Record& r : batch.records) good = good && (h.hash_mask >> (r.hash.high >> 60) & 1) != 0;
  const auto requests = bytes ? read_requests(*bytes, h) : std::nullopt;
  if (!good) {
    lose("commit", s.path, at, h.last(), "The commit's checksums are right, and its records make no sense.");
  } else {
    if (options_.visitor != nullptr && h.count != 0) {
      options_.visitor->commit(s.path, found.offset);
      options_.visitor->records(batch.records);
    }
    out_.records += h.count;
  }
  if (!requests) {
    damage("commit", s.path, at, "The commit's table of keyed requests makes no sense.");
  } else {
    for (const StoredRequest& r : *requests) snapshot_->request(r);
  }
  expected_ = h.end();
  requests_ += h.requests;
  last_checksum_ = h.checksum;
  ++out_.commits;
  entries_.push_back({h.first, h.count, h.hash_mask, found.offset, h.running_max});
  snapshot_->at(s.name.id, found.end(), requests_);
  if (layout_.mark && layout_.mark->segment == s.name.id && layout_.mark->end == found.end()) {
    mark_met_ = true;
    if (!options_.cut && layout_.mark->checksum != h.checksum)
      damage("mark", s.path, at, "The commit is not the one that the durable mark names.");
  }
}

void Verifier::sealed_by(const SegmentFile& s, const SegmentHeader& next) {
  if (next.predecessor.last.value() + 1 != expected_.value())
    damage("header", path_of({next.id, next.first}), 0, "The header says that the segment before it ends elsewhere.");
  if (next.predecessor.checksum != last_checksum_)
    damage("commit", s.path, next.predecessor.end.value(),
           "The last commit is not the one that the next segment's header names.");
}

// Behind the last valid commit of a log that nobody writes to.
Result<void> Verifier::tail(const SegmentFile& s, std::uint64_t at, std::uint64_t size) {
  Sequence known = expected_.value() == 0 ? Sequence() : Sequence(expected_.value() - 1);
  if (s.header.initial_bytes != 0 && entries_.empty()) known = std::max(known, s.header.initial_last);
  const auto& mark = layout_.mark;
  const bool beyond = mark && mark->segment == s.name.id && mark->end.value() > at;
  if (beyond) known = std::max(known, mark->last);
  if (known >= expected_ || beyond) {
    lose("commit", s.path, at, known, "What was durable here, as the durable mark or the header says, is not valid.");
    return {};
  }
  if (mark && mark->segment == s.name.id && mark->end.value() > kSegmentHeaderBytes && !mark_met_)
    damage("mark", directory_ + "/mark", 0, "No commit ends where the durable mark says that one does.");
  AlignedBuffer buffer;
  const std::span<std::byte> part(buffer.reserve(kReadBytes), kReadBytes);
  for (std::uint64_t from = at; from < size;) {
    ASSIGN_OR_RETURN(const std::size_t n, s.file->read_at(ByteOffset(from), part));
    if (n == 0) break;
    const auto some = part.first(n);
    const auto it = std::find_if(some.begin(), some.end(), [](std::byte b) { return b != std::byte{0}; });
    if (it != some.end()) {
      const std::uint64_t place = from + static_cast<std::uint64_t>(it - some.begin());
      note("torn-tail", s.path, place, "Bytes behind the last commit: what a crash leaves. The next start drops them.");
      break;
    }
    from += n;
  }
  return {};
}

}  // namespace

Result<VerifiedLog> verify_log(FileSystem& files, const std::string& directory, const VerifyLogOptions& options,
                               const FindingSink& sink) {
  return Verifier(files, directory, options, sink).run();
}

}  // namespace tidemill
