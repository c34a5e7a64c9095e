#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "consumers/views/batch.h"
#include "consumers/views/database.h"
#include "consumers/views/definition.h"
#include "consumers/views/fold.h"
#include "consumers/views/row_cache.h"
#include "consumers/views/row_stage.h"
#include "consumers/views/state.h"
#include "consumers/views/store_keys.h"

namespace tidemill::views {

// Keeps the rows of one view up to date in one family: row stage, fold, merge, one write with the checkpoint in it.
// Owned by whoever feeds it (the stream's consumer, a backfill, a rebuild); one thread at a time.
//
// Exactly once: the checkpoint is in the same write and the same family as the rows, so that after a crash both are
// of the same moment, and records up to it are never applied again.
class Upkeep {
 public:
  // Reads the checkpoint. `fields` is the set that batches will be parsed with; this view's are added to it.
  static SqlResult<std::unique_ptr<Upkeep>> open(Env& env, const Definition& definition, Database& database,
                                                 std::shared_ptr<Family> family, FieldSet& fields,
                                                 std::uint64_t cache_bytes);

  // Where the log begins, for a view that nothing is in yet: it counts records from there on.
  void begins_at(Sequence first);

  // Applies those records of the batch that are not in yet, and moves the checkpoint to `through` (not below the last
  // of them). After an error nothing of the batch is in; call again with the same one.
  Result<void> apply(const ParsedBatch& batch, Position through);

  const Checkpoint& checkpoint() const { return checkpoint_; }
  std::uint64_t bytes_since_flush() const { return unflushed_bytes_; }
  void flushed() { unflushed_bytes_ = 0; }
  const std::shared_ptr<Family>& family() const { return family_; }
  struct NewlyParked {
    std::uint64_t sequence;
    HashKey hash;
    std::string reason;
  };
  const std::vector<NewlyParked>& newly_parked() const { return newly_parked_; }  // by the last apply()

 private:
  Upkeep(Env& env, const Definition& definition, Database& database, std::shared_ptr<Family> family,
         std::uint64_t cache_bytes);
  Result<void> fetch_rows();
  Result<void> drop_known_members();
  void merge(std::uint32_t group);
  void park(const ParsedBatch& batch);

  Env& env_;
  Database& database_;
  const std::shared_ptr<Family> family_;
  const StateLayout layout_;
  std::unique_ptr<RowStage> stage_;
  Fold fold_;
  RowCache cache_;
  Checkpoint checkpoint_;
  std::uint64_t unflushed_bytes_ = 0;

  // Of the batch at hand.
  std::vector<RowState*> rows_;  // of each group of the fold
  std::vector<bool> existed_;
  std::vector<bool> dropped_;                       // members that the store has already
  std::vector<std::optional<std::uint64_t>> room_;  // of each appended aggregate, once it was asked for
  WriteSet set_;
  std::string value_;
  std::vector<NewlyParked> newly_parked_;
};

}  // namespace tidemill::views
