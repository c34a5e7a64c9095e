#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "consumers/archive/archive.h"
#include "consumers/archive/manifest.h"
#include "consumers/archive/text_file.h"

namespace tidemill::archive {

// What all units of one archive share. Any thread.
class Store {
 public:
  // Makes the directory, opens the manifest, removes leftovers of files that were being written.
  static Result<std::shared_ptr<Store>> open(Env& env, std::string directory, const StreamDefinition& definition,
                                             LogReader log, const std::vector<UnitSpan>& units);

  Env& env;
  const std::string directory;
  const std::string stream;  // its name, in those of the files
  const std::string title;   // with its tenant, for logs
  const StreamDefinition::Archive limits;
  const LogReader log;
  std::unique_ptr<Manifest> manifest;

  // No text file of this name is there: one would be the manifest's business, and is not overwritten.
  Result<void> check_free(const std::string& path) const;
  // The file's directory exists, on disk, after this.
  Result<void> make_directory_for(const std::string& path);
  // From the name aside to its own, on disk.
  Result<void> place(const std::string& path);

 private:
  Store(Env& e, std::string d, const StreamDefinition& s, LogReader l)
      : env(e),
        directory(std::move(d)),
        stream(s.name),
        title(text_of(s.qualified_name())),
        limits(s.archive),
        log(std::move(l)) {}
  Result<void> move_aside(StreamId other);
  Result<void> remove_leftovers(const std::vector<UnitSpan>& units);

  std::mutex mutex_;
  std::set<std::string> made_;  // directories, in this life of the process
};

// One shard's or lane's files, one after the other. Used by one task at a time, but for applied() and persisted().
class Unit final : public Consumer {
 public:
  Unit(std::shared_ptr<Store> store, std::string name, HashRange range)
      : store_(std::move(store)), name_(std::move(name)), range_(range) {}

  Result<Position> open() override;
  Result<void> process(const RecordBatch& batch) override;
  std::optional<MonotonicTime> next_tick() override;
  Result<void> tick() override;
  Position applied() const override { return Position::through(Sequence(applied_.load())); }
  Position persisted() const override { return Position::through(Sequence(persisted_.load())); }
  std::optional<Filed> filed() const override { return Filed{files_.load(), bytes_.load()}; }
  Result<void> note_position() override;
  Result<void> close() override;

  const HashRange& range() const { return range_; }

 private:
  Result<void> take(const Record& record);
  Result<void> pass_lost(const LostRange& lost);
  Result<void> seal();
  Result<void> place();
  Result<void> note(const ManifestLine& line);
  Result<void> note_lost(Sequence first, Sequence last);
  bool is_due() const;

  // Making a file again.
  struct Remade {
    std::unique_ptr<TextFile> file;  // synced; none when no record could be read
    std::vector<LostRange> lost;
  };
  Result<Remade> remake(const std::string& path, Sequence first, Sequence last);
  Result<void> bring_back(const FileLine& line);

  const std::shared_ptr<Store> store_;
  const std::string name_;
  const HashRange range_;

  Sequence taken_;                   // every record up to here is in a file, open or complete
  std::unique_ptr<TextFile> file_;   // the open one
  MonotonicTime opened_{};           // when its first record came
  std::optional<FileLine> placing_;  // in the manifest, but not yet (surely) in place
  std::string line_;

  std::atomic<std::uint64_t> applied_{0};
  std::atomic<std::uint64_t> persisted_{0};
  std::atomic<std::uint64_t> files_{0}, bytes_{0};  // that the manifest names
};

}  // namespace tidemill::archive
