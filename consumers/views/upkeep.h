#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "consumers/views/batch.h"
#include "consumers/views/changes.h"
#include "consumers/views/database.h"
#include "consumers/views/decisions.h"
#include "consumers/views/definition.h"
#include "consumers/views/fold.h"
#include "consumers/views/row_cache.h"
#include "consumers/views/row_expiry.h"
#include "consumers/views/row_stage.h"
#include "consumers/views/state.h"
#include "consumers/views/store_keys.h"

namespace tidemill::views {

// Keeps the rows of one view up to date in one family: row stage, fold, merge, one write with the checkpoint in it.
// Owned by whoever feeds it (the stream's consumer, a backfill, a rebuild); one thread at a time.
//
// Exactly once: the checkpoint is in the same write and the same family as the rows, so that after a crash both are
// of the same moment, and records up to it are never applied again.
//
// Decisions about records hold wherever such a record stands: in its turn, which is where a rebuild meets it, and in
// quarantine, when the decision comes later. Both give the same bytes.
class Upkeep {
 public:
  struct Deciding {
    std::shared_ptr<const Decisions> decisions;  // nullptr: there are none
    ParsedBatch::ShardOf shard_of;
  };

  // Reads the checkpoint. `fields` is the set that batches will be parsed with; this view's are added to it.
  static SqlResult<std::unique_ptr<Upkeep>> open(Env& env, const Definition& definition, Database& database,
                                                 std::shared_ptr<Family> family, FieldSet& fields,
                                                 std::uint64_t cache_bytes, Deciding deciding = {},
                                                 LookedUp lookups = {});

  // What the views that it looks up are read from, until another one is given. nullptr: each batch takes a snapshot of
  // its own. Without lookups it does not matter.
  void look_in(std::shared_ptr<const Snapshot> snapshot) { look_in_ = std::move(snapshot); }

  // Keeps rows of these group keys only; before anything is applied.
  void keep_only(std::function<bool(std::string_view group_key)> sample);

  // Each write is told there.
  void tell(std::shared_ptr<Changes> changes) { changes_ = std::move(changes); }

  // For a view that nothing is in yet: it counts records from there on. Written, so that readers see it.
  Result<void> begins_at(Sequence first);
  // For a rebuild that is compared with a view whose lineage begins there (nullopt: which has none): so does this
  // one's, if it has none yet.
  void lineage_begins_at(std::optional<Sequence> first);

  // Applies those records of the batch that are not in yet, and moves the checkpoint to `through` (not below the last
  // of them). After an error nothing of the batch is in; call again with the same one.
  Result<void> apply(const ParsedBatch& batch, Position through);

  // The same in steps, for who writes several views at once: what is to be written, and whether that was done. Nothing
  // is to be written where all of it is in already.
  Result<void> prepare(const ParsedBatch& batch, Position through);
  std::optional<Database::FamilyWrite> to_write() const;
  void written(bool done);

  // What is decided about records that are in quarantine here takes effect, where it has not yet; of these, or all.
  Result<void> settle(std::span<const Decided> decided);
  Result<void> settle();
  // The same of these decisions alone, in steps as above; the checkpoint keeps its position. Records that are not in
  // quarantine are passed over.
  struct NotCounted {
    Sequence sequence;
    std::string reason;
  };
  struct Settling {
    std::vector<Sequence> done;           // leave quarantine
    std::vector<NotCounted> not_counted;  // stay
    std::vector<std::string> group_keys;  // of the rows that change
  };
  Result<Settling> prepare_settling(std::span<const Decided> decided);
  void forget();  // what was prepared is not to be written
  // Where rows go with time: the bytes of some that have gone are still there, for they are removed with later batches,
  // a piece at a time; or with tidy(), where none come.
  bool untidy() const { return expiry_ && expiry_->behind(); }
  Result<void> tidy();

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
         std::uint64_t cache_bytes, Deciding deciding, LookedUp lookups);
  RowSink& sink() { return sample_ ? *sample_ : fold_; }
  Result<void> run_stage(const ParsedBatch& batch, std::uint32_t first);
  std::shared_ptr<const Snapshot> seen() const;
  Result<void> fetch_rows();
  Result<void> begin_gone_rows_anew();
  Result<void> sweep(std::uint64_t records, Checkpoint& checkpoint);
  void merge(std::uint32_t group);
  Result<void> add_lineage(std::uint32_t group, bool late);
  void add_to_changes(bool moved);
  std::uint64_t park(const ParsedBatch& batch);

  // upkeep_settle.cc
  struct Alone {  // the row stage for one record at a time, over this view's fields alone
    std::unique_ptr<RowStage> stage;
    std::unique_ptr<ParsedBatch> parsed;
  };
  Result<bool> count_alone(const Record& record, const Snapshot* seen);

  // upkeep_members.cc
  Result<void> drop_known_members();
  Result<void> put_members(std::uint32_t group);
  Result<void> put_members_late(std::uint32_t group);
  Result<void> put_latest_late(const Fold::Group& group);
  Result<void> put_highest(std::uint32_t group, std::uint32_t aggregate);
  void count_appended(std::uint32_t group);
  void forget_rows();

  static constexpr std::uint32_t kAlone = 1u << 31;  // record number in the fold of what is not in the batch

  Env& env_;
  Database& database_;
  const Definition definition_;
  const std::shared_ptr<Family> family_;
  const StateLayout layout_;
  const Deciding deciding_;
  const LookedUp lookups_;
  std::shared_ptr<const Snapshot> look_in_;
  std::unique_ptr<RowStage> stage_;
  std::unique_ptr<Alone> alone_;  // made when it is needed
  Fold fold_;
  std::unique_ptr<RowSink> sample_;  // in front of the fold, where only some rows are kept
  RowCache cache_;
  std::unique_ptr<RowExpiry> expiry_;  // nullptr: rows stay
  std::shared_ptr<Changes> changes_;   // may be nullptr
  Checkpoint checkpoint_;
  // Of lists that are full: nothing is there below that key. By member space, as far as it is known.
  std::unordered_map<std::string, std::string> lowest_;
  bool lineage_begins_ = false;  // nothing is in it yet
  std::uint64_t unflushed_bytes_ = 0;

  // Of the batch at hand.
  std::vector<RowState*> rows_;  // of each group of the fold
  std::vector<bool> existed_;
  std::vector<std::int64_t> deadline_;   // that it had, where rows go with time
  std::vector<bool> anew_;               // likewise: it existed and begins anew
  std::vector<bool> dropped_;            // members that the store has already
  std::vector<std::uint64_t> appended_;  // members of lists that come for the row at hand, by aggregate
  std::vector<std::uint64_t> room_;      // how many more that row takes before its lowest go
  WriteSet set_;
  std::optional<Checkpoint> next_;  // what set_ brings
  std::string value_;
  std::vector<std::uint64_t> sequences_;
  std::vector<NewlyParked> newly_parked_;
};

}  // namespace tidemill::views
