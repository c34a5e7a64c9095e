#include "consumers/views/compare.h"

#include <unordered_set>

#include "consumers/views/key.h"
#include "consumers/views/upkeep.h"
#include "storage/base/errors.h"
#include "storage/base/text.h"
#include "storage/seam/random.h"

namespace tidemill::views {
namespace {

constexpr std::size_t kDifferencesMax = 1'000;
constexpr std::uint64_t kCacheBytes = 8 << 20;

// All that is stored of a view, in order, as it is once everything that has gone with time has been removed: how far
// that has come is no difference. For another view, all that is stored. Where it is not `with_lineage`, rows as if none
// were kept.
class Stored {
 public:
  Stored(const Snapshot& snapshot, const Family& family, const View& view, WallTime stream_time, bool with_lineage)
      : definition_(view.definition()),
        layout_(view.layout()),
        now_(stream_time.time_since_epoch().count()),
        with_lineage_(with_lineage),
        cursor_(snapshot.cursor(family, {}, {})) {
    pass();
  }

  bool valid() const { return cursor_->valid(); }
  std::string_view key() const { return cursor_->key(); }
  std::string_view value() const { return with_lineage_ || key()[0] != kRowSpace ? cursor_->value() : row_; }
  ErrorCode error() const { return error_ ? error_ : cursor_->error(); }
  std::uint64_t due() const { return due_.size(); }  // rows that were passed over
  void next() {
    cursor_->next();
    pass();
  }

 private:
  void pass() {
    while (cursor_->valid() && (without_lineage() || (definition_.expiry && is_due()))) cursor_->next();
  }
  // Whether there is nothing left of it then.
  bool without_lineage() {
    if (with_lineage_ || key()[0] != kRowSpace) return !with_lineage_ && key()[0] == kLineageSpace;
    auto row = layout_.decode(cursor_->value());
    if (!row && !error_) error_ = row.error();
    row_ = cursor_->value();
    if (!row || row->recent().count == 0) return false;
    row->recent() = {};
    row_.clear();
    row->encode(row_);
    return false;
  }
  bool is_due() {
    const std::string_view key = cursor_->key();
    if (key[0] == kRowSpace) {
      if (definition_.expiry->bucket(deadline_of(cursor_->value())) > now_) return false;
      due_.emplace(key.substr(1));
      return true;
    }
    if (key[0] == kMemberSpace || key[0] == kLineageSpace)
      return !due_.empty() && due_.contains(std::string(key_in_front(key.substr(1), definition_.groups.size())));
    const auto entry = expiry_entry(key);
    return entry && entry->bucket_ms <= now_;
  }

  const Definition& definition_;
  const StateLayout& layout_;
  const std::int64_t now_;
  const bool with_lineage_;
  std::string row_;
  ErrorCode error_;
  std::unordered_set<std::string> due_;
  std::unique_ptr<Cursor> cursor_;
};

// The checkpoint of what is compared, likewise.
std::string without_due(Checkpoint checkpoint, std::uint64_t due, bool with_lineage) {
  if (!with_lineage) checkpoint.lineage.reset();
  checkpoint.rows -= due;
  if (checkpoint.expiry) checkpoint.expiry->expired += due;
  return encode_checkpoint(checkpoint);
}

// What the rebuilt one is made like.
struct Like {
  Checkpoint live;
  std::shared_ptr<const Decisions> decisions;
  LookedUp lookups;
  std::shared_ptr<const Snapshot> seen;  // by these
};

Result<void> rebuild(Env& env, Database& database, const Stream& stream, const Definition& definition,
                     std::shared_ptr<Family> family, Like like, const FromBase& from_base) {
  const Checkpoint& live = like.live;
  const Position until = live.position;
  const Sequence first = stream.log().start();
  if (live.since < first) {
    ASSIGN_OR_RETURN(const auto base, from_base(database, *family, first, until.sequence()));
    if (!base) return make_error_code(StorageErrc::before_start);
  }
  FieldSet fields;
  const auto shard_of = [&](HashKey h, Sequence s) { return stream.shard_of(h, s); };
  auto opened = Upkeep::open(env, definition, database, std::move(family), fields, kCacheBytes,
                             {std::move(like.decisions), shard_of}, like.lookups);
  if (std::holds_alternative<SqlError>(opened)) return make_error_code(StorageErrc::invalid_argument);
  auto& upkeep = *std::get<0>(opened);
  upkeep.look_in(like.seen);
  upkeep.lineage_begins_at(live.lineage);
  RETURN_IF_ERROR(upkeep.begins_at(live.since));
  RETURN_IF_ERROR(upkeep.settle());  // what a base has in quarantine
  ParsedBatch parsed(fields, shard_of);
  for (Sequence from = std::max(first, next(upkeep.checkpoint().position.sequence())); from <= until.sequence();) {
    ASSIGN_OR_RETURN(auto batch, stream.log().read(from, ReadOptions()));
    std::erase_if(batch.records, [&](const Record& r) { return r.sequence > until.sequence(); });
    parsed.parse(batch.records);
    const Position read = Position::through(Sequence(batch.next.value() - 1));
    RETURN_IF_ERROR(upkeep.apply(parsed, std::min(read, until)));
    from = batch.next;
  }
  return {};
}

}  // namespace

Result<std::shared_ptr<const Decisions>> taken_up(const std::shared_ptr<const Decisions>& all, const Snapshot& live,
                                                  const Family& family) {
  auto out = std::make_shared<Decisions>();
  for (Sequence from(1); all;) {
    const auto some = all->some(from, 32);
    if (some.empty()) break;
    for (const Decided& d : some) {
      ASSIGN_OR_RETURN(const auto parked, live.get(family, parked_key(d.sequence.value())));
      if (!parked) out->add(d.sequence, d.decision);
    }
    from = next(some.back().sequence);
  }
  return std::shared_ptr<const Decisions>(std::move(out));
}

Result<std::vector<Views::Difference>> rebuild_and_compare(Env& env, const Database& database, Database& scratch,
                                                           const Stream& stream, const View& view,
                                                           const LookedUp& lookups,
                                                           const std::shared_ptr<const Decisions>& decisions,
                                                           const FromBase& from_base) {
  const std::shared_ptr<const Snapshot> live = database.snapshot();
  ASSIGN_OR_RETURN(const Checkpoint checkpoint, view.checkpoint(*live));
  ASSIGN_OR_RETURN(auto taken, taken_up(decisions, *live, *view.family()));
  const std::string name = "t" + std::to_string(env.random.next());
  ASSIGN_OR_RETURN(const auto family, scratch.family(name));
  const Result<void> rebuilt = rebuild(env, scratch, stream, view.definition(), family,
                                       {checkpoint, std::move(taken), lookups, live}, from_base);
  std::vector<Views::Difference> differences;
  ErrorCode error = rebuilt ? ErrorCode() : rebuilt.error();
  if (!error) {
    const auto made = scratch.snapshot();
    const auto rebuilt_checkpoint =
        View(view.id(), view.qualified_name(), {}, view.definition(), family).checkpoint(*made);
    const WallTime now = checkpoint.expiry ? checkpoint.expiry->stream_time : WallTime{};
    // Where it was made from the base, which may be of a version without.
    const bool with_lineage = rebuilt_checkpoint && rebuilt_checkpoint->lineage == checkpoint.lineage;
    const bool as_they_are = with_lineage && !checkpoint.expiry;
    Stored a(*live, *view.family(), view, now, with_lineage);
    Stored b(*made, *family, view, now, with_lineage);
    while ((a.valid() || b.valid()) && differences.size() < kDifferencesMax) {
      const int order = !a.valid() ? 1 : !b.valid() ? -1 : a.key().compare(b.key());
      const bool of_both = order == 0 && a.key() == kCheckpointKey && !as_they_are;  // below
      if (order < 0) differences.push_back({to_hex(a.key()), to_hex(a.value()), ""});
      if (order > 0) differences.push_back({to_hex(b.key()), "", to_hex(b.value())});
      if (order == 0 && a.value() != b.value() && !of_both)
        differences.push_back({to_hex(a.key()), to_hex(a.value()), to_hex(b.value())});
      if (order <= 0) a.next();
      if (order >= 0) b.next();
    }
    error = a.error() ? a.error() : b.error();
    if (!error && !rebuilt_checkpoint) error = rebuilt_checkpoint.error();
    if (!error && !as_they_are && differences.size() < kDifferencesMax) {
      const std::string is = without_due(checkpoint, a.due(), with_lineage);
      const std::string made_again = without_due(*rebuilt_checkpoint, b.due(), with_lineage);
      if (is != made_again) differences.push_back({to_hex(kCheckpointKey), to_hex(is), to_hex(made_again)});
    }
  }
  RETURN_IF_ERROR(scratch.drop(name));
  if (error) return error;
  return differences;
}

}  // namespace tidemill::views
