#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "consumers/views/copies.h"
#include "consumers/views/database.h"
#include "consumers/views/store_keys.h"
#include "engine/serial.h"
#include "storage/base/result.h"

namespace tidemill::views {

// DATA/views.bases, beside DATA/views.
inline constexpr const char* kBasesSuffix = ".bases";

// All families of the views as of one moment, and the checkpoint that each had: what a view is built from, together
// with the log, once retention has removed records. See docs/formats/bases.md.
//
// There is one base at a time, in a numbered directory. The next one is made aside, read through, and only counts when
// it is on disk under its name; then the one before goes. While it is made the views go on.
class Bases final : public Serial {
 public:
  // The families of all views that are defined, with the durable sequence of each one's stream.
  using Wanted = std::function<std::map<std::string, Sequence>()>;

  // `database` outlives stop(). `made` is called after each one, on env.background.
  Bases(Env& env, std::string directory, const Database& database, Wanted wanted, std::function<void()> made);

  // What the last life left: the newest one counts, all else is removed. Blocks.
  Result<void> open();
  // After a view was dropped: where there is no view, none is kept. Blocks.
  void drop_unwanted();

  struct State {
    std::map<std::string, Checkpoint> families;  // of the base that was made in this life; none: nobody has looked
    bool under_way = false;
    std::string failed;  // why the last attempt was none, a sentence; empty: it went well
  };
  State state() const;
  void make();  // does not block; nothing where one is under way
  void stop();  // waits for one that is being made; none comes after it

  // `family` (empty) becomes what the base has of `name`; on disk when it returns. nullopt: there is no base, or it has
  // no such family, or the family's checkpoint is not in [first - 1, durable], so that the log could not go on from it.
  // StorageErrc::damaged: it has, and cannot be read to its end; then what is in `family` has no checkpoint that can be
  // read, as after a crash meanwhile.
  Result<std::optional<Checkpoint>> rebuild(const std::string& name, Database& database, const Family& family,
                                            Sequence first, Sequence durable) const;

 private:
  void run() final;
  Result<std::string> make_one();  // why not, in words
  Result<std::uint64_t> newest() const;
  void remove_others(std::uint64_t kept) const;

  const Copies copies_;
  const Database& database_;
  const Wanted wanted_;
  const std::function<void()> made_;

  mutable std::mutex run_mutex_;  // one attempt, or stop()
  bool stopped_ = false;
  mutable std::mutex mutex_;
  State state_;
};

// The newest base below `directory`, to be read only. nullptr: there is none. StorageErrc::damaged: it cannot be
// opened.
Result<std::unique_ptr<Database>> open_base(Env& env, const std::string& directory);
// The checkpoint of a family. nullopt: nothing is in it. StorageErrc::damaged: it cannot be read.
Result<std::optional<Checkpoint>> read_checkpoint(const Database& database, const Family& family);
// All of `name` in `base` into `family`, as Bases::rebuild.
Result<std::optional<Checkpoint>> copy_family(Database& base, const std::string& name, Database& database,
                                              const Family& family, Sequence first, Sequence durable);

}  // namespace tidemill::views
