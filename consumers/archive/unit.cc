#include "consumers/archive/unit.h"

#include <utility>

#include "storage/base/errors.h"
#include "storage/base/logger.h"
#include "storage/seam/clock.h"

namespace tidemill::archive {
namespace {

// A unit without records notes how far it has seen the stream when it is so far behind, so that a restart need not read
// all of that again for its sake.
constexpr std::uint64_t kSeenRecords = 100'000;

}  // namespace

Result<Position> Unit::open() {
  const Manifest::Unit found = store_->manifest->found(name_);
  files_ = found.filed.files;
  bytes_ = found.filed.bytes;
  if (found.last_file) RETURN_IF_ERROR(bring_back(*found.last_file));
  taken_ = found.through;
  applied_ = persisted_ = taken_.value();
  return Position::through(taken_);
}

Result<void> Unit::process(const RecordBatch& batch) {
  RETURN_IF_ERROR(place());
  if (is_due()) RETURN_IF_ERROR(seal());
  auto lost = batch.lost.begin();
  for (const Record& record : batch.records) {
    for (; lost != batch.lost.end() && lost->first < record.sequence; ++lost) RETURN_IF_ERROR(pass_lost(*lost));
    if (record.sequence > taken_) RETURN_IF_ERROR(take(record));
  }
  for (; lost != batch.lost.end(); ++lost) RETURN_IF_ERROR(pass_lost(*lost));
  if (batch.next > next(taken_)) taken_ = Sequence(batch.next.value() - 1);
  applied_ = taken_.value();
  if (!file_ && taken_.value() - persisted_ >= kSeenRecords) return note(SeenLine{name_, taken_});
  return {};
}

// An error leaves the record out, whatever else had been done; calling again goes on from there.
Result<void> Unit::take(const Record& record) {
  encode_line(record, line_);
  if (file_ && file_->bytes() + line_.size() > store_->limits.size_bytes) {
    taken_ = Sequence(record.sequence.value() - 1);
    RETURN_IF_ERROR(seal());
  }
  if (!file_) {
    const std::string path = text_path(store_->stream, name_, record.arrival, record.sequence);
    RETURN_IF_ERROR(store_->check_free(path));
    RETURN_IF_ERROR(store_->make_directory_for(path));
    ASSIGN_OR_RETURN(auto file, TextFile::create(store_->env, store_->directory, path));
    RETURN_IF_ERROR(file->add(line_, record.sequence));
    file_ = std::move(file);
    opened_ = store_->env.clock.monotonic();
  } else {
    RETURN_IF_ERROR(file_->add(line_, record.sequence));
  }
  taken_ = record.sequence;
  if (file_->bytes() >= store_->limits.size_bytes) return seal();
  return {};
}

Result<void> Unit::pass_lost(const LostRange& lost) {
  if (lost.last <= taken_) return {};
  const Sequence first = std::max(lost.first, next(taken_));
  taken_ = Sequence(first.value() - 1);
  RETURN_IF_ERROR(seal());
  RETURN_IF_ERROR(note_lost(first, lost.last));
  taken_ = lost.last;
  persisted_ = taken_.value();
  return {};
}

Result<void> Unit::note_lost(Sequence first, Sequence last) {
  RETURN_IF_ERROR(note(LostLine{name_, first, last}));
  store_->env.logger.warning("records that the log has lost are in no text file",
                             {{"stream", store_->title},
                              {"unit", name_},
                              {"first", std::to_string(first.value())},
                              {"last", std::to_string(last.value())}});
  return {};
}

Result<void> Unit::note(const ManifestLine& line) {
  RETURN_IF_ERROR(store_->manifest->append(line));
  if (const auto* file = std::get_if<FileLine>(&line)) {
    ++files_;
    bytes_ += file->bytes;
  } else {
    persisted_ = through_of(line).value();
  }
  return {};
}

// Completes the open file: its bytes, its line, its name, in this order. After an error, calling again goes on where it
// stopped.
Result<void> Unit::seal() {
  if (!file_) return place();
  if (file_->broken()) {
    const auto path = file_->path();
    ASSIGN_OR_RETURN(Remade again, remake(path, file_->first(), file_->last()));
    const bool whole = again.file && again.file->count() == file_->count();
    if (!whole && again.lost.empty()) return StorageErrc::damaged;
    for (const LostRange& lost : again.lost) RETURN_IF_ERROR(note_lost(lost.first, lost.last));
    if (!again.file) {
      RETURN_IF_ERROR(store_->env.files.remove(store_->directory + "/" + part_path(path)));
      file_.reset();
      return {};
    }
    file_ = std::move(again.file);
  } else {
    RETURN_IF_ERROR(file_->sync());
  }
  const FileLine line = file_->manifest_line(name_, taken_);
  RETURN_IF_ERROR(note(line));
  placing_ = line;
  file_.reset();
  return place();
}

Result<void> Unit::place() {
  if (!placing_) return {};
  auto placed = store_->place(placing_->path);
  // Somebody has removed it: its line is in the manifest, so it is made again as after a crash.
  if (!placed && placed.error() == boost::system::errc::no_such_file_or_directory) placed = bring_back(*placing_);
  RETURN_IF_ERROR(placed);
  // Not before: until it has its name it may have to be made again, from records that retention must not take.
  persisted_ = through_of(*placing_).value();
  placing_.reset();
  return {};
}

bool Unit::is_due() const {
  return file_ &&
         (store_->env.clock.monotonic() >= opened_ + store_->limits.age || file_->bytes() >= store_->limits.size_bytes);
}

std::optional<MonotonicTime> Unit::next_tick() {
  if (placing_) return store_->env.clock.monotonic();
  if (file_) return opened_ + store_->limits.age;
  return std::nullopt;
}

Result<void> Unit::tick() {
  RETURN_IF_ERROR(place());
  return is_due() ? seal() : Result<void>();
}

// Without it a unit that had no records for long would go back to where retention has removed what was never its own,
// and call that lost.
Result<void> Unit::note_position() {
  if (file_ || placing_ || taken_.value() <= persisted_) return {};
  return note(SeenLine{name_, taken_});
}

Result<void> Unit::close() {
  RETURN_IF_ERROR(seal());
  return note_position();
}

// The same records as a new file aside, synced.
Result<Unit::Remade> Unit::remake(const std::string& path, Sequence first, Sequence last) {
  RETURN_IF_ERROR(store_->make_directory_for(path));
  Remade remade;
  ASSIGN_OR_RETURN(auto file, TextFile::create(store_->env, store_->directory, path));
  ReadOptions options;
  options.range = range_;
  options.bytes_max = 1 << 20;
  std::string line;
  for (Sequence from = first; from <= last;) {
    const auto batch = store_->log(from, options);
    if (!batch && batch.error() == StorageErrc::before_start) {
      remade.lost.push_back({from, last, "removed by retention", ByteOffset(0)});
      break;
    }
    if (!batch) return batch.error();
    if (batch->next <= from) return StorageErrc::beyond_end;  // the log is shorter than the manifest says
    for (const LostRange& lost : batch->lost)
      if (lost.first <= last) remade.lost.push_back(lost);
    for (const Record& record : batch->records) {
      if (record.sequence > last) break;
      encode_line(record, line);
      RETURN_IF_ERROR(file->add(line, record.sequence));
    }
    from = batch->next;
  }
  if (file->count() > 0) {
    RETURN_IF_ERROR(file->sync());
    remade.file = std::move(file);
  }
  return remade;
}

// The last file of the manifest is in its place after this, whatever a crash had left of it.
Result<void> Unit::bring_back(const FileLine& line) {
  const std::string path = store_->directory + "/" + line.path;
  RETURN_IF_ERROR(store_->make_directory_for(line.path));
  // Under its own name it is whole, for it got that name after its bytes were on disk; the size is asked all the same.
  const auto placed = store_->env.files.info(path);
  const std::string part = store_->directory + "/" + part_path(line.path);
  if (placed && placed->size == line.bytes) {
    if (store_->env.files.sync_directory(directory_of(path))) return {};
    RETURN_IF_ERROR(store_->env.files.rename(path, part));  // as in Store::place
  }
  ASSIGN_OR_RETURN(const auto aside, facts_of(store_->env, part));
  if (aside && aside->bytes == line.bytes && aside->hash == line.hash) {
    RETURN_IF_ERROR(write_again(store_->env, part));
    return store_->place(line.path);
  }

  ASSIGN_OR_RETURN(Remade again, remake(line.path, line.first, line.last));
  if (!again.file && !again.lost.empty()) {
    RETURN_IF_ERROR(store_->env.files.remove(part));  // there is nothing in it
    for (const auto& lost : again.lost) RETURN_IF_ERROR(note_lost(lost.first, lost.last));
    return note(SeenLine{name_, line.through});
  }
  const FileLine made = again.file ? again.file->manifest_line(name_, line.through) : FileLine();
  if (made == line) {
    store_->env.logger.info("a text file was made again from the log", {{"file", path}});
    return store_->place(line.path);
  }
  if (again.lost.empty()) {
    store_->env.logger.error("the log does not give the records that the archive's manifest names",
                             {{"stream", store_->title}, {"file", path}, {"remedy", kAnew}});
    return StorageErrc::damaged;
  }
  // What is left of it; its line must be the last that names a file.
  for (const auto& lost : again.lost) RETURN_IF_ERROR(note_lost(lost.first, lost.last));
  RETURN_IF_ERROR(note(made));
  return store_->place(line.path);
}

}  // namespace tidemill::archive
