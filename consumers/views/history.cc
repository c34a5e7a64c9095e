#include "consumers/views/history.h"

#include <algorithm>

#include "consumers/views/bases.h"
#include "storage/base/errors.h"
#include "storage/base/logger.h"
#include "storage/seam/clock.h"
#include "storage/seam/file_system.h"

namespace tidemill::views {
namespace {

constexpr std::uint64_t kRoomOf = 20;  // of the disk, one part of so many is to stay free
constexpr std::chrono::minutes kUnused{1};

}  // namespace

History::History(Env& env, Options options, const Database& database, Catalog catalog)
    : Serial(env),
      options_(std::move(options)),
      copies_(env, options_.directory, "kept point"),
      database_(database),
      catalog_(std::move(catalog)) {}

Result<void> History::open() {
  const std::lock_guard running(run_mutex_);
  ASSIGN_OR_RETURN(const bool there, copies_.settle(Copies::Missing::leave));
  if (!there) return {};
  ASSIGN_OR_RETURN(const auto numbers, copies_.numbers());
  if (!numbers.empty()) last_number_ = numbers.back();
  std::vector<Point> points;
  for (const std::uint64_t number : numbers) {
    if (options_.every.count() == 0) break;
    // One that was being removed has no such file any more.
    const auto text = read_file(env_.files, copies_.path(number) + "/" + kPointFile, kPointFileBytesMax);
    auto content = text ? decode_point(*text) : std::nullopt;
    if (!content || !std::all_of(content->views.begin(), content->views.end(), catalog_.fits)) {
      env_.logger.warning("a kept point of the views cannot be used and is removed",
                          {{"number", std::to_string(number)},
                           {"cause", content ? "it has counted more than its logs have"
                                     : text  ? "its file POINT is damaged"
                                             : text.error().message()}});
      continue;
    }
    points.push_back({number, std::make_shared<const PointContent>(std::move(*content)), 0});
  }
  for (Point& p : points) p.bytes = bytes_of(p.number, nullptr);
  {
    const std::lock_guard lock(mutex_);
    status_.points = std::move(points);
  }
  clean();
  return {};
}

void History::begin() {
  if (options_.every.count() == 0) return;
  {
    const std::lock_guard running(run_mutex_);
    const MonotonicTime now = env_.clock.monotonic();
    std::chrono::nanoseconds pause(0);
    const std::lock_guard lock(mutex_);
    // A server that is started anew each day has its points all the same. Clocks may have been set.
    if (!status_.points.empty()) {
      const auto since = env_.clock.wall() - status_.points.back().content->made;
      pause = std::clamp<std::chrono::nanoseconds>(options_.every - since, std::chrono::nanoseconds(0), options_.every);
    }
    due_ = now + pause;
  }
  wake();
}

void History::stop() {
  const std::lock_guard running(run_mutex_);
  stopped_ = true;
  std::map<std::uint64_t, Open> gone;
  const std::lock_guard lock(mutex_);
  closed_ = true;
  gone.swap(open_);
}

History::Status History::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

void History::run() {
  const std::lock_guard running(run_mutex_);
  if (stopped_ || !due_) return;
  close_unused();
  remove_what_goes();
  make_if_due();
  remove_what_goes();
  measure();
  wake_at(std::min(*due_, env_.clock.monotonic() + kCheck));
}

void History::make_if_due() {
  const MonotonicTime begun = env_.clock.monotonic();
  if (begun < *due_) return;
  const auto served = catalog_.served();
  due_ = begun + options_.every;
  if (!changed(served)) return;
  if (little_room()) {
    if (!std::exchange(said_little_room_, true))
      env_.logger.warning("no point of the views is kept: less than a twentieth of the disk is free", {});
    return;
  }
  said_little_room_ = false;
  auto made = make(last_number_ + 1, served);
  if (!made) {
    copies_.remove_aside();
    const std::string cause = made.error().message();
    env_.logger.warning("a point of the views was not kept; it is tried again", {{"cause", cause}});
    due_ = begun + std::min<std::chrono::nanoseconds>(options_.every, kCheck);
    const std::lock_guard lock(mutex_);
    ++status_.failures;
    status_.failed = cause + ".";
    return;
  }
  last_number_ = made->number;
  const auto spent = std::chrono::duration_cast<std::chrono::milliseconds>(env_.clock.monotonic() - begun);
  env_.logger.info("a point of the views is kept",
                   {{"number", std::to_string(made->number)}, {"ms", std::to_string(spent.count())}});
  const std::lock_guard lock(mutex_);
  status_.points.push_back(std::move(*made));
  status_.failed.clear();
}

// A view that has gone changes nothing: what is there of the others is in the last point.
bool History::changed(const std::vector<PointView>& served) const {
  const std::lock_guard lock(mutex_);
  if (status_.points.empty()) return !served.empty();
  const PointContent& last = *status_.points.back().content;
  return std::any_of(served.begin(), served.end(), [&](const PointView& v) {
    const PointView* had = last.find(v.id);
    return had == nullptr || *had != v;
  });
}

// The database is copied without what is written meanwhile: all that is to be in it is on its way to the disk when the
// last begin_flush() has returned. The first one makes the second one short.
Result<History::Point> History::make(std::uint64_t number, const std::vector<PointView>& served) {
  constexpr int kAttempts = 5;
  RETURN_IF_ERROR(copies_.settle(Copies::Missing::make));
  const std::string aside = copies_.aside();
  for (int i = 0; i < kAttempts; ++i) {
    copies_.remove_aside();
    if (exists(env_.files, aside + ".tmp")) RETURN_IF_ERROR(remove_tree(env_.files, aside + ".tmp"));
    RETURN_IF_ERROR(catalog_.begin_flush());
    RETURN_IF_ERROR(database_.wait_for_flushes());
    RETURN_IF_ERROR(catalog_.begin_flush());
    const WallTime made = env_.clock.wall();
    RETURN_IF_ERROR(database_.copy_to(aside, Database::Unflushed::leave_out));
    ASSIGN_OR_RETURN(auto content, content_of(aside, served));
    // RocksDB may have flushed one of them once more by itself.
    if (!content) continue;
    content->made = made;
    RETURN_IF_ERROR(write_content(aside, *content));
    RETURN_IF_ERROR(copies_.keep(number));
    return Point{number, std::make_shared<const PointContent>(std::move(*content)), bytes_of(number, nullptr)};
  }
  return ErrorCode(EAGAIN, boost::system::generic_category());
}

// As somebody would find it. nullopt: the views of a stream are not at the same record.
Result<std::optional<PointContent>> History::content_of(const std::string& path,
                                                        const std::vector<PointView>& served) const {
  PointContent content;
  ASSIGN_OR_RETURN(const auto copy, Database::open_beside(database_, env_, path));
  const std::vector<std::string> names = copy->names();
  std::map<StreamId, Sequence> reached;
  for (const PointView& v : served) {
    const std::string name = family_name(v.id);
    if (std::find(names.begin(), names.end(), name) == names.end()) continue;  // dropped meanwhile
    ASSIGN_OR_RETURN(const auto family, copy->family(name));
    ASSIGN_OR_RETURN(const auto checkpoint, read_checkpoint(*copy, *family));
    const Checkpoint had = checkpoint.value_or(Checkpoint{});  // nothing is in it yet
    const Sequence sequence = had.position.sequence();
    if (!reached.emplace(v.stream, sequence).second && reached.at(v.stream) != sequence)
      return std::optional<PointContent>();
    content.views.push_back({v.id, v.stream, sequence, had.parked});
  }
  std::sort(content.views.begin(), content.views.end(),
            [](const PointView& a, const PointView& b) { return a.id < b.id; });
  return std::optional<PointContent>(std::move(content));
}

Result<void> History::write_content(const std::string& path, const PointContent& content) const {
  const std::string text = encode_point(content);
  ASSIGN_OR_RETURN(const auto file, env_.files.open(path + "/" + kPointFile, OpenMode::create));
  RETURN_IF_ERROR(file->write_at(ByteOffset(0), std::as_bytes(std::span(text))));
  RETURN_IF_ERROR(file->sync_data());
  return env_.files.sync_directory(path);
}

// Sources that are dropped close files: not with the lock held.
void History::close_unused() {
  std::vector<std::shared_ptr<PointSource>> unused;
  const MonotonicTime now = env_.clock.monotonic();
  const std::lock_guard lock(mutex_);
  for (auto& [number, open] : open_) {
    if (open.kept && now - open.asked >= kUnused) unused.push_back(std::move(open.kept));
  }
}

bool History::little_room() const {
  const auto space = env_.files.space(options_.directory.substr(0, options_.directory.rfind('/')));
  return space && space->free_bytes < space->total_bytes / kRoomOf;
}

std::optional<History::Point> History::take_oldest() {
  const std::lock_guard lock(mutex_);
  if (status_.points.empty()) return std::nullopt;
  Point oldest = std::move(status_.points.front());
  status_.points.erase(status_.points.begin());
  return oldest;
}

void History::remove_what_goes() {
  const auto defined = catalog_.defined();
  bool any = false;
  {
    const std::lock_guard lock(mutex_);
    auto& points = status_.points;
    const std::size_t before = points.size();
    if (points.size() > options_.keep)
      points.erase(points.begin(), points.end() - static_cast<std::ptrdiff_t>(options_.keep));
    // Nobody can ask for anything in them.
    std::erase_if(points, [&](const Point& p) {
      return std::none_of(p.content->views.begin(), p.content->views.end(),
                          [&](const PointView& v) { return defined.contains(v.id); });
    });
    any = points.size() != before || !open_.empty();
  }
  if (any) clean();
  while (little_room()) {
    const auto oldest = take_oldest();
    if (!oldest) break;
    env_.logger.warning("a kept point of the views goes: less than a twentieth of the disk is free",
                        {{"number", std::to_string(oldest->number)}});
    clean();
  }
}

// Removes what is neither a point nor being read. First the file without which it is none: removing the rest may be cut
// short.
void History::clean() {
  const std::lock_guard opening(open_mutex_);
  std::set<std::uint64_t> kept;
  std::vector<std::shared_ptr<PointSource>> gone;
  {
    const std::lock_guard lock(mutex_);
    for (const Point& p : status_.points) kept.insert(p.number);
    for (auto& [number, open] : open_) {
      if (!kept.contains(number) && open.kept) gone.push_back(std::move(open.kept));
    }
  }
  gone.clear();
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(open_, [](const auto& o) { return o.second.source.expired(); });
    for (const auto& [number, open] : open_) kept.insert(number);
  }
  const auto numbers = copies_.numbers();
  if (!numbers) return;
  for (const std::uint64_t number : *numbers) {
    const std::string path = copies_.path(number);
    if (kept.contains(number) || !exists(env_.files, path + "/" + kPointFile)) continue;
    if (!env_.files.remove(path + "/" + kPointFile) || !env_.files.sync_directory(path)) kept.insert(number);
  }
  copies_.remove_others(kept);
}

std::uint64_t History::bytes_of(std::uint64_t number, std::map<std::string, std::uint64_t>* files) const {
  std::uint64_t bytes = 0;
  const std::string path = copies_.path(number);
  const auto entries = env_.files.list(path);
  if (!entries) return 0;
  for (const DirectoryEntry& e : *entries) {
    const auto info = env_.files.info(path + "/" + e.name);
    if (!info) continue;
    bytes += info->size;
    if (files != nullptr && e.name.ends_with(".sst")) files->emplace(e.name, info->size);
  }
  return bytes;
}

// RocksDB gives no number twice, so a table of the same name is the same one.
void History::measure() {
  std::vector<std::uint64_t> numbers;
  {
    const std::lock_guard lock(mutex_);
    for (const Point& p : status_.points) numbers.push_back(p.number);
  }
  std::map<std::string, std::uint64_t> files;
  for (const std::uint64_t number : numbers) (void)bytes_of(number, &files);
  const std::string live = options_.directory.substr(0, options_.directory.size() - std::string(kHistorySuffix).size());
  if (const auto entries = env_.files.list(live))
    for (const DirectoryEntry& e : *entries) files.erase(e.name);
  std::uint64_t bytes = 0;
  for (const auto& [name, size] : files) bytes += size;
  const std::lock_guard lock(mutex_);
  status_.bytes = bytes;
}

// The one that is open, and asked for anew.
std::shared_ptr<PointSource> History::open_one(std::uint64_t number) {
  const auto open = open_.find(number);
  auto source = open == open_.end() ? nullptr : open->second.source.lock();
  if (!source) return nullptr;
  open->second.kept = source;
  open->second.asked = env_.clock.monotonic();
  return source;
}

Result<std::shared_ptr<PointSource>> History::source(std::uint64_t number) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return std::shared_ptr<PointSource>();
    if (auto source = open_one(number)) return source;
  }
  std::vector<std::shared_ptr<PointSource>> unused;  // closed without the locks
  const std::lock_guard opening(open_mutex_);
  std::shared_ptr<const PointContent> content;
  {
    const std::lock_guard lock(mutex_);
    if (auto source = open_one(number)) return source;
    const auto there =
        std::find_if(status_.points.begin(), status_.points.end(), [&](const Point& p) { return p.number == number; });
    if (there == status_.points.end()) return std::shared_ptr<PointSource>();
    content = there->content;
    std::size_t being_read = 0;
    std::vector<Open*> kept;
    for (auto& [n, open] : open_) {
      if (open.source.use_count() > (open.kept ? 1 : 0)) ++being_read;
      if (open.kept) kept.push_back(&open);
    }
    if (being_read >= kOpenMax) return make_error_code(StorageErrc::not_accepting);
    std::sort(kept.begin(), kept.end(), [](const Open* a, const Open* b) { return a->asked > b->asked; });
    for (std::size_t i = kOpenKept - 1; i < kept.size(); ++i) unused.push_back(std::move(kept[i]->kept));
  }
  ASSIGN_OR_RETURN(auto source,
                   PointSource::open(env_, database_, copies_.path(number), *content, catalog_.live, catalog_.say));
  const std::lock_guard lock(mutex_);
  if (closed_) return std::shared_ptr<PointSource>();
  open_[number] = {source, source, env_.clock.monotonic()};
  return source;
}

}  // namespace tidemill::views
