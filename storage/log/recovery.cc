#include "storage/log/recovery.h"

#include <algorithm>

#include "storage/base/check.h"
#include "storage/base/errors.h"
#include "storage/log/commit_reader.h"
#include "storage/log/commit_writer.h"
#include "storage/log/request_recovery.h"
#include "storage/log/segment_scanner.h"
#include "storage/seam/clock.h"
#include "storage/seam/random.h"

namespace tidemill {
namespace {

constexpr std::size_t kReadBytes = 1 << 20;

class Recovery {
 public:
  Recovery(Env& env, const std::string& directory, const LogOptions& options, MarkFile& mark)
      : env_(env), directory_(directory), options_(options), mark_file_(mark), out_(StartFile(env.files, directory)) {}

  Result<RecoveredLog> run() {
    RETURN_IF_ERROR(list());
    ASSIGN_OR_RETURN(mark_, mark_file_.read());
    RETURN_IF_ERROR(know_ours());
    RETURN_IF_ERROR(drop_superseded());
    RETURN_IF_ERROR(open_last());
    RETURN_IF_ERROR(read_start());
    if (mark_) {
      out_.notes = mark_->notes;
      out_.last_id = std::max(out_.last_id, mark_->segment);
    }
    if (last_) RETURN_IF_ERROR(scan_last());
    judge_tail();
    if (last_ && !damaged_) RETURN_IF_ERROR(look_for_torn_tail());
    const RequestSearch search{incarnation_, names_, last_, end_, out_.requests};
    out_.answers = recover_requests(env_, directory_, search, options_.request_window);
    RETURN_IF_ERROR(begin_segment());
    clean_up();
    return std::move(out_);
  }

 private:
  Result<void> list();
  Result<void> sync_ancestors(std::string path);
  Result<void> know_ours();
  Result<void> drop_superseded();
  Result<void> open_last();
  Result<void> read_start();
  Result<void> scan_last();
  Result<void> read_source(SegmentScanner& scanner, const SegmentScanner::Found& found);
  void judge_tail();
  Result<void> look_for_torn_tail();
  Result<std::shared_ptr<SegmentFill>> make_fill(std::uint64_t bytes_min);
  Result<void> begin_segment();
  void clean_up();
  std::string path_of(const SegmentName& name) const { return directory_ + "/" + segment_file_name(name); }
  void lose(Sequence first, Sequence last, const std::string& file, ByteOffset offset);

  Env& env_;
  const std::string& directory_;
  const LogOptions& options_;
  MarkFile& mark_file_;
  RecoveredLog out_;

  std::vector<SegmentName> names_;
  std::vector<SegmentName> superseded_;
  std::vector<SegmentName> retired_;  // before the log's start
  std::vector<std::string> leftovers_;
  std::vector<SegmentId> indexes_;
  std::optional<DurableMark> mark_;
  std::optional<Incarnation> ours_;    // the mark's, where a segment bears it out: files of another log are damage
  std::shared_ptr<SegmentFile> last_;  // null: there is none, or its header is damaged
  Incarnation incarnation_;
  std::vector<EpochStart> epochs_;

  // Of the last segment.
  std::vector<IndexEntry> entries_;
  std::optional<SegmentScanner::Found> last_commit_;
  std::uint64_t before_last_checksum_ = 0;
  std::optional<SourcePosition> before_last_source_;
  ByteOffset end_{kSegmentHeaderBytes};  // of the last valid commit
  bool damaged_ = false;
  bool copy_last_ = false;
};

void Recovery::lose(Sequence first, Sequence last, const std::string& file, ByteOffset offset) {
  damaged_ = true;
  env_.logger.error("damage: records that were durable cannot be read back",
                    {{"file", file},
                     {"offset", std::to_string(offset.value())},
                     {"first", std::to_string(first.value())},
                     {"last", std::to_string(last.value())}});
  if (first <= last) out_.segments.damage.push_back({first, last, file, offset});
}

Result<void> Recovery::list() {
  ASSIGN_OR_RETURN(const auto entries, env_.files.list(directory_));
  for (const DirectoryEntry& e : entries) {
    if (const auto name = parse_segment_file_name(e.name)) {
      names_.push_back(*name);
    } else if (e.name.ends_with(kFillSuffix) || e.name.ends_with(kTemporarySuffix)) {
      leftovers_.push_back(e.name);
    } else if (const auto id = parse_index_file_name(e.name)) {
      indexes_.push_back(*id);
    }
  }
  std::sort(names_.begin(), names_.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  if (!names_.empty()) {
    out_.last_id = names_.back().id;
    return {};
  }
  // A new log, in a directory whose name may be in the cache only: whoever made it was perhaps killed before he could
  // flush it.
  return sync_ancestors(directory_);
}

Result<void> Recovery::sync_ancestors(std::string path) {
  for (;;) {
    const std::size_t slash = path.find_last_of('/');
    const std::string parent = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
    if (auto r = env_.files.sync_directory(parent); !r) {
      const bool forbidden = r.error() == boost::system::errc::permission_denied ||
                             r.error() == boost::system::errc::read_only_file_system;
      if (!forbidden) return r.error();  // what we may not even open we have not made
    }
    if (slash == std::string::npos || slash == 0) return {};
    path = parent;
  }
}

// Which log this is. The mark says, if any segment says the same; else it is the mark that came from elsewhere.
Result<void> Recovery::know_ours() {
  if (!mark_) return {};
  bool any = false;
  for (std::size_t i = names_.size(); i-- > 0;) {
    const auto segment =
        open_segment(env_.files, directory_, names_[i], OpenMode::read, mark_->incarnation, null_logger());
    if (segment) {
      ours_ = mark_->incarnation;
      return {};
    }
    if (segment.error() != StorageErrc::damaged) return segment.error();
    any = any || open_segment(env_.files, directory_, names_[i], OpenMode::read, {}, null_logger());
  }
  if (!any) return {};  // there is none, or none can be read
  env_.logger.warning("the durable mark belongs to another log and is not used", {{"directory", directory_}});
  mark_.reset();
  return {};
}

// A segment that begins at the same record as a later one, and is not the one which that names as its predecessor, was
// replaced by it: its only commit was copied there, or its name appeared after its flush had failed.
Result<void> Recovery::drop_superseded() {
  std::vector<SegmentName> kept;
  for (std::size_t i = names_.size(); i-- > 0;) {
    if (!kept.empty() && names_[i].first >= kept.back().first) {
      const auto later = open_segment(env_.files, directory_, kept.back(), OpenMode::read, ours_, env_.logger);
      if (!later && later.error() != StorageErrc::damaged) return later.error();
      if (later && (*later)->header.predecessor.id != names_[i].id) {
        superseded_.push_back(names_[i]);
        continue;
      }
    }
    kept.push_back(names_[i]);
  }
  names_.assign(kept.rbegin(), kept.rend());
  return {};
}

// Finds out which log this is. The newest readable header says; where none is, the mark does.
Result<void> Recovery::open_last() {
  std::shared_ptr<SegmentFile> newest;
  for (std::size_t i = names_.size(); i-- > 0 && !newest;) {
    auto segment = open_segment(env_.files, directory_, names_[i], OpenMode::write, ours_, env_.logger);
    if (!segment) {
      if (segment.error() != StorageErrc::damaged) return segment.error();
      continue;
    }
    newest = std::move(*segment);
    if (i + 1 == names_.size()) last_ = newest;
  }
  if (newest) {
    incarnation_ = newest->header.incarnation;
    epochs_ = newest->header.epochs;
    out_.log_start = newest->header.log_start;
    out_.running_max = newest->header.running_max;
    out_.requests = newest->header.requests_before;
    out_.source = newest->header.source;
    // What the commits of later segments said is gone with them.
    if (out_.source && !last_) out_.source->through = kSourceLost;
  } else if (mark_) {
    incarnation_ = mark_->incarnation;
    epochs_ = {{mark_->epoch, Sequence(1)}};
  } else {
    while (incarnation_.value() == 0) incarnation_ = Incarnation(env_.random.next());
  }
  return {};
}

// Where retention has moved the log's start: the start file knows, or the newest header; whichever is further up has
// been on disk. What lies before it does not count, whether it is still there, partly there or gone. The segment that
// begin_segment() makes repeats it in its header and is flushed, so it is on disk again before clean_up() touches
// anything.
Result<void> Recovery::read_start() {
  ASSIGN_OR_RETURN(const auto found, out_.start_file.read());
  if (found.damaged == 2)
    env_.logger.error("the file with the log's start is damaged; the newest segment's header is used",
                      {{"file", directory_ + "/" + std::string(kStartFileName)}});
  if (found.start && found.start->incarnation != incarnation_) {
    env_.logger.error("the log's start belongs to another log and is not used", {{"directory", directory_}});
  } else if (found.start) {
    out_.log_start = std::max(out_.log_start, found.start->start);
  }
  out_.log_start = std::max(out_.log_start, Sequence(1));
  const auto kept = std::find_if(names_.begin(), names_.end(), [&](const SegmentName& name) {
    // One that begins with the start holds no records before it, but perhaps the answers of keyed requests.
    return &name == &names_.back() || name.first >= out_.log_start || (&name + 1)->first > out_.log_start;
  });
  retired_.assign(names_.begin(), kept);
  names_.erase(names_.begin(), kept);
  return {};
}

Result<void> Recovery::scan_last() {
  const SegmentHeader& header = last_->header;
  ASSIGN_OR_RETURN(const std::uint64_t size, last_->file->size());
  const std::uint64_t end = std::min(header.bytes, size / kBlockBytes * kBlockBytes);
  SegmentScanner scanner(*last_, ByteOffset(kSegmentHeaderBytes), ByteOffset(end), SegmentScanner::Depth::whole,
                         kReadBytes);
  out_.next = header.first;
  out_.last_checksum = header.predecessor.checksum;
  for (;;) {
    // An error here is not a torn tail: nobody knows what stands there. Better not to start.
    ASSIGN_OR_RETURN(const auto found, scanner.next());
    if (!found) break;
    const CommitHeader& h = found->header;
    if (h.first < out_.next) {
      env_.logger.error("a commit repeats records and is ignored",
                        {{"file", last_->path}, {"offset", std::to_string(found->offset.value())}});
      continue;
    }
    if (found->bad || h.first != out_.next) {
      lose(out_.next, Sequence(h.first.value() - 1), last_->path, found->bad.value_or(found->offset));
    }
    entries_.push_back({h.first, h.count, h.hash_mask, found->offset, h.running_max});
    before_last_checksum_ = out_.last_checksum;
    before_last_source_ = out_.source;
    RETURN_IF_ERROR(read_source(scanner, *found));
    last_commit_ = found;
    end_ = found->end();
    out_.next = h.end();
    out_.running_max = std::max(out_.running_max, h.running_max);
    out_.last_checksum = h.checksum;
    out_.requests += h.requests;
    if (mark_ && mark_->segment == header.id && mark_->end == end_ && mark_->checksum != h.checksum) {
      env_.logger.error("the last commit is not the one that the durable mark names",
                        {{"file", last_->path}, {"offset", std::to_string(found->offset.value())}});
    }
  }
  return {};
}

Result<void> Recovery::read_source(SegmentScanner& scanner, const SegmentScanner::Found& found) {
  if (found.header.extension_bytes == 0) return {};
  ASSIGN_OR_RETURN(const auto bytes, scanner.bytes(found.offset.value(), found.header.header_bytes));
  const auto extensions = read_extensions(bytes, found.header);
  if (!extensions) return {};
  for (const CommitExtension& e : *extensions) {
    if (e.type != kSourceExtension) continue;
    if (const auto source = read_source_position(e.bytes)) out_.source = source;
  }
  return {};
}

// What lies behind the last valid commit: nothing, a commit that was being written when the lights went out, or the
// remains of one that is known to have been durable.
void Recovery::judge_tail() {
  Sequence known = Sequence(out_.next.value() - 1);  // durable for sure
  if (!names_.empty() && !last_) {
    // A file has a segment's name only once its header is durable.
    const SegmentName& name = names_.back();
    out_.next = name.first;
    known = mark_ && mark_->segment >= name.id ? mark_->last : name.first;
    known = std::max(known, Sequence(out_.log_start.value() - 1));
    lose(name.first, known, path_of(name), ByteOffset(0));
    out_.next = next(known);
    return;
  }
  if (last_ && last_->header.initial_bytes != 0 && entries_.empty()) known = last_->header.initial_last;
  if (mark_) {
    const bool beyond = last_
                            ? mark_->segment > last_->name.id || (mark_->segment == last_->name.id && mark_->end > end_)
                            : mark_->last.value() != 0;
    if (beyond) known = std::max(known, mark_->last);
    // A commit without records leaves no gap in the numbers, but its keyed requests are gone.
    if (beyond && known < out_.next) damaged_ = true;
  }
  // Where the log begins was durable once, whatever else is lost.
  if (names_.empty()) out_.next = std::max(out_.next, out_.log_start);
  known = std::max(known, Sequence(out_.log_start.value() - 1));
  if (known >= out_.next) {
    lose(out_.next, known, last_ ? last_->path : directory_, end_);
    out_.next = next(known);
  } else {
    copy_last_ = last_commit_.has_value();
  }
}

// Only to be said: a segment is zeros behind what was written.
Result<void> Recovery::look_for_torn_tail() {
  AlignedBuffer buffer;
  const std::span<std::byte> block(buffer.reserve(kBlockBytes), kBlockBytes);
  ASSIGN_OR_RETURN(const std::size_t n, last_->file->read_at(end_, block));
  const auto written = block.first(n);
  out_.torn_tail = std::any_of(written.begin(), written.end(), [](std::byte b) { return b != std::byte{0}; });
  return {};
}

// Of the usual size, or as small as can be where the disk is full: a log that cannot take records can still serve.
Result<std::shared_ptr<SegmentFill>> Recovery::make_fill(std::uint64_t bytes_min) {
  for (const std::string& name : leftovers_) {  // the largest of them is a whole segment of zeros
    static_cast<void>(env_.files.remove(directory_ + "/" + name).has_value());
  }
  const auto attempt = [&](std::uint64_t bytes) -> Result<std::shared_ptr<SegmentFill>> {
    const std::string path = directory_ + "/recovery" + std::string(kFillSuffix);
    if (exists(env_.files, path)) RETURN_IF_ERROR(env_.files.remove(path));
    ASSIGN_OR_RETURN(auto fill, SegmentFill::create(env_.files, path, bytes));
    while (!fill->filled()) RETURN_IF_ERROR(fill->step());
    return fill;
  };
  auto fill = attempt(std::max(round_up(options_.segment_bytes_first, kBlockBytes), bytes_min));
  if (!fill && fill.error() == boost::system::errc::no_space_on_device) fill = attempt(bytes_min);
  return fill;
}

Result<void> Recovery::begin_segment() {
  AlignedBuffer buffer;
  std::span<std::byte> commit;
  CommitHeader commit_header;
  SegmentHeader h;
  h.first = out_.next;
  if (last_) h.predecessor = {last_->name.id, end_, Sequence(out_.next.value() - 1), out_.last_checksum};
  if (!entries_.empty()) {
    h.predecessor.last = Sequence(entries_.back().first.value() + entries_.back().count - 1);
  }
  h.requests_before = out_.requests;
  h.source = copy_last_ ? before_last_source_ : out_.source;
  do h.salt = env_.random.next();
  while (h.salt == 0);

  if (copy_last_) {
    commit_header = last_commit_->header;
    commit = {buffer.reserve(commit_header.length), commit_header.length};
    ASSIGN_OR_RETURN(const std::size_t n, last_->file->read_at(last_commit_->offset, commit));
    if (n != commit.size() || !read_commit(commit, last_->header.salt, incarnation_)) {
      return make_error_code(StorageErrc::damaged);  // it was valid a moment ago
    }
    reseal_commit(commit, commit_header, h.salt);
    h.first = commit_header.first;
    h.predecessor.end = last_commit_->offset;
    h.predecessor.last = Sequence(commit_header.first.value() - 1);
    h.predecessor.checksum = before_last_checksum_;
    h.requests_before -= commit_header.requests;
    h.initial_bytes = commit_header.length;
    h.initial_last = commit_header.last();
    out_.last_checksum = commit_header.checksum;
  }
  // Where nothing of the last segment counts any more, the one before it is the predecessor.
  const bool emptied = last_ && !damaged_ && h.predecessor.end.value() == kSegmentHeaderBytes;
  if (emptied) {
    h.predecessor = last_->header.predecessor;
    superseded_.push_back(names_.back());
    names_.pop_back();
  }

  h.id = out_.last_id = SegmentId(out_.last_id.value() + 1);
  h.incarnation = incarnation_;
  h.epoch = Epoch(epochs_.empty() ? 1 : epochs_.back().epoch.value() + 1);
  if (mark_ && mark_->epoch >= h.epoch) h.epoch = Epoch(mark_->epoch.value() + 1);
  h.epochs = add_epoch(epochs_, {h.epoch, out_.next});
  h.log_start = out_.log_start;
  h.created = env_.clock.wall();
  h.running_max = out_.running_max;
  if (copy_last_) {
    h.running_max = entries_.size() > 1 ? entries_[entries_.size() - 2].running_max : last_->header.running_max;
  }

  ASSIGN_OR_RETURN(auto fill, make_fill(kSegmentHeaderBytes + commit.size() + kBlockBytes));
  auto made = fill->put_to_use(directory_, h, commit);
  if (made.error) return made.error;

  Segments::Start& s = out_.segments;
  names_.push_back(made.segment->name);
  s.names = names_;
  s.active = made.segment;
  s.end = ByteOffset(kSegmentHeaderBytes + commit.size());
  if (copy_last_) {
    const CommitHeader& c = commit_header;
    s.entries.push_back({c.first, c.count, c.hash_mask, ByteOffset(kSegmentHeaderBytes), c.running_max});
  }
  for (const SegmentName& name : names_) {
    if (auto info = env_.files.info(path_of(name))) s.bytes += info->size;
  }
  return {};
}

// Nothing here matters to anybody but the disk's free space; what fails is tried again at the next start.
void Recovery::clean_up() {
  for (const SegmentName& name : superseded_) {
    static_cast<void>(env_.files.remove(path_of(name)).has_value());
    static_cast<void>(env_.files.remove(directory_ + "/" + index_file_name(name.id)).has_value());
  }
  for (const SegmentName& name : retired_) static_cast<void>(env_.files.remove(path_of(name)).has_value());
  // Indexes of segments that retention has removed.
  for (const SegmentId id : indexes_)
    if (id < names_.front().id)
      static_cast<void>(env_.files.remove(directory_ + "/" + index_file_name(id)).has_value());
  if (last_ && copy_last_) entries_.pop_back();
  const bool kept = last_ && (superseded_.empty() || superseded_.back() != last_->name);
  if (kept && !damaged_) {
    // The zeros behind its end are of no more use.
    const ByteOffset end = out_.segments.active->header.predecessor.end;
    static_cast<void>(last_->file->truncate(end.value()).has_value());
    store_index(env_, directory_, *last_, entries_, end);
  }
}

}  // namespace

Result<RecoveredLog> recover_log(Env& env, const std::string& directory, const LogOptions& options, MarkFile& mark) {
  return Recovery(env, directory, options, mark).run();
}

}  // namespace tidemill
