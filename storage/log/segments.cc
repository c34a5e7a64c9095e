#include "storage/log/segments.h"

#include <algorithm>

#include "storage/base/check.h"
#include "storage/base/errors.h"
#include "storage/log/segment_scanner.h"

namespace tidemill {
namespace {

constexpr std::size_t kOpenFilesMax = 8;
constexpr std::size_t kRebuildReadBytes = 1 << 20;
constexpr std::size_t kDamageMax = 1000;

}  // namespace

void store_index(Env& env, const std::string& directory, const SegmentFile& segment,
                 const std::vector<IndexEntry>& entries, ByteOffset end) {
  const auto bytes = make_index(entries, segment.header.salt, end);
  const auto write = [&]() -> Result<void> {
    const std::string path = directory + "/" + index_file_name(segment.name.id);
    ASSIGN_OR_RETURN(auto file, env.files.open(path, OpenMode::open_or_create));
    RETURN_IF_ERROR(file->truncate(0));
    return file->write_at(ByteOffset(0), bytes);
  };
  if (auto r = write(); !r) {
    env.logger.warning("an index was not written; it will be made again when it is needed",
                       {{"segment", segment.path}, {"cause", r.error().message()}});
  }
}

Segments::Segments(Env& env, std::string directory, Start start)
    : env_(env),
      directory_(std::move(directory)),
      names_(std::move(start.names)),
      active_(std::move(start.active)),
      entries_(std::move(start.entries)),
      end_(start.end),
      damage_(std::move(start.damage)),
      bytes_(start.bytes) {
  CHECK(!names_.empty() && names_.back() == active_->name);
  last_ = Sequence(entries_.empty() ? active_->name.first.value() - 1
                                    : entries_.back().first.value() + entries_.back().count - 1);
}

void Segments::published(const IndexEntry& entry, ByteOffset end) {
  std::lock_guard lock(mutex_);
  entries_.push_back(entry);
  end_ = end;
  last_ = Sequence(entry.first.value() + entry.count - 1);
}

void Segments::rolled(std::shared_ptr<SegmentFile> next) {
  std::lock_guard lock(mutex_);
  auto entries = std::make_shared<std::vector<IndexEntry>>(std::move(entries_));
  entries_ = {};
  sealed_[active_->name.id] = {active_, std::move(entries), end_};
  active_ = std::move(next);
  names_.push_back(active_->name);
  end_ = ByteOffset(kSegmentHeaderBytes);
  bytes_ += active_->header.bytes;
}

std::shared_ptr<SegmentFile> Segments::active() const {
  std::lock_guard lock(mutex_);
  return active_;
}

void Segments::write_indexes() {
  for (;;) {
    SegmentId id;
    Sealed sealed;
    {
      std::lock_guard lock(mutex_);
      if (sealed_.empty()) return;
      id = sealed_.begin()->first;
      sealed = sealed_.begin()->second;
    }
    store_index(env_, directory_, *sealed.file, *sealed.entries, sealed.end);
    std::lock_guard lock(mutex_);
    sealed_.erase(id);
  }
}

std::size_t Segments::position_of(Sequence s) const {
  const auto it = std::partition_point(names_.begin(), names_.end(), [&](const auto& n) { return n.first <= s; });
  return it == names_.begin() ? 0 : static_cast<std::size_t>(it - names_.begin()) - 1;
}

Result<std::shared_ptr<SegmentFile>> Segments::open(const SegmentName& name) {
  {
    std::lock_guard lock(mutex_);
    if (active_->name == name) return active_;
    if (const auto it = sealed_.find(name.id); it != sealed_.end()) return it->second.file;
    const auto it = std::find_if(opened_.begin(), opened_.end(), [&](const auto& f) { return f->name == name; });
    if (it != opened_.end()) {
      opened_.splice(opened_.begin(), opened_, it);
      return opened_.front();
    }
  }
  ASSIGN_OR_RETURN(
      auto file, open_segment(env_.files, directory_, name, OpenMode::read, active_->header.incarnation, env_.logger));
  std::shared_ptr<SegmentFile> closed;  // outside the lock
  std::lock_guard lock(mutex_);
  opened_.push_front(file);
  if (opened_.size() > kOpenFilesMax) {
    closed = std::move(opened_.back());
    opened_.pop_back();
  }
  return file;
}

Result<std::shared_ptr<SegmentFile>> Segments::open_or_null(const SegmentName& name) {
  auto file = open(name);
  if (!file && file.error() == StorageErrc::damaged) return std::shared_ptr<SegmentFile>();
  return file;
}

Result<Segments::View> Segments::view_of(const SegmentName& name) {
  View v;
  SegmentName next;
  {
    std::lock_guard lock(mutex_);
    const auto by_id = [](const SegmentName& a, const SegmentName& b) { return a.id < b.id; };
    const auto at = std::lower_bound(names_.begin(), names_.end(), name, by_id);
    if (at == names_.end() || !(*at == name)) return make_error_code(StorageErrc::before_start);
    const auto i = static_cast<std::size_t>(at - names_.begin());
    v.name = name;
    if (i + 1 == names_.size()) {
      v.file = active_;
      v.path = active_->path;
      v.end = end_;
      v.last = last_;
      v.active = true;
      return v;
    }
    next = names_[i + 1];
  }
  v.path = path(v.name);
  v.last = Sequence(next.first.value() - 1);
  auto file = open(v.name);
  if (!file) {
    if (file.error() != StorageErrc::damaged) return file.error();
    return v;
  }
  v.file = std::move(*file);
  v.end = ByteOffset(v.file->header.bytes);
  // The successor says where this one ends; where it cannot be asked, all of the file may count.
  auto after = open(next);
  if (!after && after.error() != StorageErrc::damaged) return after.error();
  if (after && (*after)->header.predecessor.id == v.name.id) {
    v.end = (*after)->header.predecessor.end;
  } else if (auto size = v.file->file->size(); size && *size < v.end.value()) {
    v.end = ByteOffset(*size / kBlockBytes * kBlockBytes);
  }
  return v;
}

Result<Segments::View> Segments::view(Sequence s) {
  SegmentName name;
  {
    std::lock_guard lock(mutex_);
    if (s < dropped_) return make_error_code(StorageErrc::before_start);
    name = names_[position_of(s)];
  }
  auto view = view_of(name);
  if (view) return view;
  // Removed while it was being opened.
  std::lock_guard lock(mutex_);
  if (s < dropped_) return make_error_code(StorageErrc::before_start);
  return view;
}

Segments::Entries Segments::rebuild(const View& view, ErrorCode& unreadable) {
  SegmentScanner scanner(*view.file, ByteOffset(kSegmentHeaderBytes), view.end, SegmentScanner::Depth::header,
                         kRebuildReadBytes);
  auto entries = std::make_shared<std::vector<IndexEntry>>();
  for (;;) {
    auto found = scanner.next();
    if (!found) {
      unreadable = found.error();
      break;
    }
    if (!*found) break;
    const CommitHeader& h = (*found)->header;
    entries->push_back({h.first, h.count, h.hash_mask, (*found)->offset, h.running_max});
  }
  if (!unreadable) {
    env_.logger.info("made a missing index again",
                     {{"segment", view.path}, {"commits", std::to_string(entries->size())}});
    store_index(env_, directory_, *view.file, *entries, view.end);
  }
  return entries;
}

template <class Less>
Result<std::optional<IndexEntry>> Segments::search(const View& view, Less less) {
  const auto in = [&](const std::vector<IndexEntry>& entries) -> std::optional<IndexEntry> {
    const auto it = std::partition_point(entries.begin(), entries.end(), less);
    if (it == entries.end()) return std::nullopt;
    return *it;
  };
  Entries sealed;
  {
    std::lock_guard lock(mutex_);
    if (view.file == active_) return in(entries_);
    if (const auto it = sealed_.find(view.name.id); it != sealed_.end()) sealed = it->second.entries;
  }
  if (sealed) return in(*sealed);
  if (auto index = IndexFile::open(env_.files, index_path(view.name.id), view.file->header.salt, view.end)) {
    if (const auto i = index->lower_bound(less)) {
      if (*i == index->entries()) return std::optional<IndexEntry>();
      if (auto entry = index->at(*i)) return entry;
    }
  }
  ErrorCode unreadable;
  auto entry = in(*rebuild(view, unreadable));
  if (!entry && unreadable) return unreadable;  // that nothing was found means nothing then
  return entry;
}

Result<std::optional<ByteOffset>> Segments::locate(const View& view, Sequence from) {
  ASSIGN_OR_RETURN(const auto entry, search(view, [&](const IndexEntry& e) { return next(e.first, e.count) <= from; }));
  if (!entry) return std::optional<ByteOffset>();
  return std::optional(entry->offset);
}

Result<Sequence> Segments::find(WallTime time, Sequence start, Sequence beyond) {
  // The last segment before whose first commit the time had not come yet. Headers that are damaged are passed over
  // towards the older side, which only makes the search start earlier.
  std::vector<SegmentName> names;
  std::size_t low = 0;
  {
    std::lock_guard lock(mutex_);
    if (start < dropped_) return make_error_code(StorageErrc::before_start);
    low = position_of(start);
    names = names_;
  }
  std::size_t high = names.size();
  while (high - low > 1) {
    const std::size_t middle = low + (high - low) / 2;
    ASSIGN_OR_RETURN(const View v, view_of(names[middle]));
    if (v.file && v.file->header.running_max < time) {
      low = middle;
    } else {
      high = middle;
    }
  }
  for (; low < names.size(); ++low) {
    ASSIGN_OR_RETURN(const View v, view_of(names[low]));
    if (!v.file) continue;
    ASSIGN_OR_RETURN(const auto entry, search(v, [&](const IndexEntry& e) {
                       return e.running_max < time || next(e.first, e.count) <= start;
                     }));
    if (!entry) continue;
    return std::min(std::max(entry->first, start), beyond);
  }
  return beyond;
}

std::vector<SegmentName> Segments::names() const {
  std::lock_guard lock(mutex_);
  return names_;
}

void Segments::drop_before(Sequence start) {
  std::vector<SegmentName> gone;
  std::list<std::shared_ptr<SegmentFile>> closed;  // outside the lock
  {
    std::lock_guard lock(mutex_);
    dropped_ = std::max(dropped_, start);
    while (names_.size() > 1 && names_[0].first < start && names_[1].first <= start) {
      const SegmentName name = names_.front();
      names_.erase(names_.begin());
      gone.push_back(name);
      if (const auto it = sealed_.find(name.id); it != sealed_.end()) {
        closed.push_back(it->second.file);
        sealed_.erase(it);
      }
      opened_.remove_if([&](const auto& file) {
        if (!(file->name == name)) return false;
        closed.push_back(file);
        return true;
      });
    }
    std::erase_if(damage_, [&](const LostRange& lost) { return lost.last < start; });
  }
  // Oldest first. What cannot be removed, or comes back after a power cut, goes at the next start.
  for (const SegmentName& name : gone) {
    if (const auto info = env_.files.info(path(name))) {
      std::lock_guard lock(mutex_);
      bytes_ -= std::min(bytes_, info->size);
    }
    if (auto r = env_.files.remove(path(name)); !r && r.error() != boost::system::errc::no_such_file_or_directory)
      env_.logger.warning("a segment before the log's start was not removed; the next start tries again",
                          {{"file", path(name)}, {"cause", r.error().message()}});
    static_cast<void>(env_.files.remove(index_path(name.id)).has_value());
  }
}

LogCut Segments::cut() const {
  std::lock_guard lock(mutex_);
  return {{}, active_->header.epoch, {}, last_, names_, end_};
}

void Segments::add_damage(const LostRange& lost) {
  {
    std::lock_guard lock(mutex_);
    for (const LostRange& known : damage_) {
      if (known.first <= lost.first && lost.last <= known.last) return;
    }
    if (damage_.size() == kDamageMax) return;
    damage_.push_back(lost);
  }
  env_.logger.error("damage: records that were durable cannot be read back",
                    {{"file", lost.file},
                     {"offset", std::to_string(lost.offset.value())},
                     {"first", std::to_string(lost.first.value())},
                     {"last", std::to_string(lost.last.value())}});
}

std::vector<LostRange> Segments::damage() const {
  std::lock_guard lock(mutex_);
  return damage_;
}

std::uint64_t Segments::bytes() const {
  std::lock_guard lock(mutex_);
  return bytes_;
}

std::uint64_t Segments::count() const {
  std::lock_guard lock(mutex_);
  return names_.size();
}

}  // namespace tidemill
