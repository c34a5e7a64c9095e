#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "consumers/views/copies.h"
#include "consumers/views/database.h"
#include "consumers/views/point_format.h"
#include "consumers/views/point_source.h"
#include "engine/serial.h"
#include "storage/base/result.h"

namespace tidemill::views {

// DATA/views.history, beside DATA/views.
inline constexpr const char* kHistorySuffix = ".history";

// The views as they were, at points kept for SQL: a copy of the database every so often, by links, of which the latest
// are there (docs/formats/history.md). Making and removing is done on env.background, a check a minute at least.
//
// In a point are the views that were served then and had all that was there to count. Those of one stream have the same
// records in it. None is made where no view has changed since the last. While the disk is nearly full none is made, and
// the oldest go. A point that goes stays on the disk as long as a statement reads it.
//
// Owned by the catalog. Any thread but for open().
class History final : public Serial {
 public:
  struct Options {
    std::string directory;
    std::chrono::milliseconds every{0};  // 0: none are made, and those that are there go
    std::uint64_t keep = 1;
  };
  // What the catalog says of itself. Not called with a lock of this held but that of one run at a time.
  struct Catalog {
    std::function<std::vector<PointView>()> served;    // that a point may have
    std::function<std::set<std::uint64_t>()> defined;  // ids of all definitions
    std::function<bool(const PointView&)> fits;        // its log has what the point has counted
    std::function<Result<void>()> begin_flush;         // of all views, those of one stream at the same record
    PointSource::Live live;
    PointSource::Say say;
  };
  struct Point {
    std::uint64_t number = 0;
    std::shared_ptr<const PointContent> content;
    std::uint64_t bytes = 0;
  };
  static constexpr std::chrono::seconds kCheck{60};
  static constexpr std::size_t kOpenMax = 16;  // being read at a time; each takes up to 64 descriptors
  static constexpr std::size_t kOpenKept = 4;  // kept open for the next statement

  // `database` outlives stop() and all sources.
  History(Env& env, Options options, const Database& database, Catalog catalog);

  // What the last life left: points that cannot be read, do not fit their logs, or are too many go. Blocks.
  Result<void> open();
  void begin();  // the first check
  void stop();   // waits for a check under way; none comes after it. Sources that nobody holds are closed

  struct Status {
    std::vector<Point> points;  // ascending
    std::uint64_t bytes = 0;    // of files that are there for points only
    std::uint64_t failures = 0;
    std::string failed;  // why the last attempt was none, a sentence
  };
  Status status() const;
  const Options& options() const { return options_; }

  // To read it. nullptr: it has gone. StorageErrc::not_accepting: kOpenMax are being read. Blocks on the disk.
  Result<std::shared_ptr<PointSource>> source(std::uint64_t number);

 private:
  void run() final;
  bool changed(const std::vector<PointView>& served) const;
  Result<Point> make(std::uint64_t number, const std::vector<PointView>& served);
  Result<std::optional<PointContent>> content_of(const std::string& path, const std::vector<PointView>& served) const;
  Result<void> write_content(const std::string& path, const PointContent& content) const;
  void make_if_due();
  void remove_what_goes();
  void close_unused();
  std::shared_ptr<PointSource> open_one(std::uint64_t number);
  std::optional<Point> take_oldest();
  bool little_room() const;
  void clean();
  void measure();
  std::uint64_t bytes_of(std::uint64_t number, std::map<std::string, std::uint64_t>* files) const;

  struct Open {
    std::weak_ptr<PointSource> source;
    std::shared_ptr<PointSource> kept;  // for the next statement; nullptr: as long as one reads
    MonotonicTime asked;
  };

  const Options options_;
  const Copies copies_;
  const Database& database_;
  const Catalog catalog_;

  std::mutex run_mutex_;  // one check, or stop(); what follows
  bool stopped_ = false;
  bool said_little_room_ = false;
  std::uint64_t last_number_ = 0;
  std::optional<MonotonicTime> due_;

  std::mutex open_mutex_;  // held while a source is opened, or directories are removed

  mutable std::mutex mutex_;  // what follows
  Status status_;
  std::map<std::uint64_t, Open> open_;
  bool closed_ = false;
};

}  // namespace tidemill::views
