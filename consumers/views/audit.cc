#include "consumers/views/audit.h"

#include <algorithm>

#include "consumers/views/compare.h"
#include "storage/base/errors.h"
#include "storage/base/hash.h"
#include "storage/base/text.h"
#include "storage/seam/random.h"

namespace tidemill::views {
namespace {

constexpr std::uint64_t kSample = 1'000;
constexpr std::uint64_t kSeed = 47;  // another hash than anything else's
constexpr std::uint32_t kSliceRecords = 5'000;
constexpr std::uint32_t kSliceRows = 20'000;
constexpr std::uint64_t kCacheBytes = 4 << 20;
constexpr std::size_t kShownMax = 5;

}  // namespace

Audit::Audit(Env& env, Database& database, std::shared_ptr<Stream> stream, std::shared_ptr<LiveView> live)
    : env_(env),
      database_(database),
      stream_(std::move(stream)),
      live_(std::move(live)),
      snapshot_(database_.snapshot()) {}

Audit::~Audit() {
  a_.reset();
  b_.reset();
  made_.reset();
  upkeep_.reset();
  family_.reset();
  if (!name_.empty()) (void)database_.drop(name_).has_value();  // else the next start does it
}

bool Audit::in_sample(std::string_view group_key) const {
  return xxh3(group_key, kSeed) % classes_ == class_;
}

Result<std::unique_ptr<Audit>> Audit::begin(Env& env, Database& database, std::shared_ptr<Stream> stream,
                                            std::shared_ptr<LiveView> live) {
  std::unique_ptr<Audit> audit(new Audit(env, database, std::move(stream), std::move(live)));
  const View& view = *audit->live_->view;
  ASSIGN_OR_RETURN(audit->at_, view.checkpoint(*audit->snapshot_));
  if (audit->at_.since < audit->stream_->log().start()) return make_error_code(StorageErrc::before_start);
  audit->classes_ = std::max<std::uint64_t>(1, audit->at_.rows / kSample);
  audit->class_ = env.random.next() % audit->classes_;
  ASSIGN_OR_RETURN(auto decisions, taken_up(audit->live_->decisions, *audit->snapshot_, *view.family()));

  const std::string name = "t" + std::to_string(env.random.next());
  ASSIGN_OR_RETURN(audit->family_, database.family(name));
  audit->name_ = name;
  const auto shard_of = [stream = audit->stream_](HashKey h, Sequence s) { return stream->shard_of(h, s); };
  auto opened = Upkeep::open(env, view.definition(), database, audit->family_, audit->fields_, kCacheBytes,
                             {std::move(decisions), shard_of});
  if (std::holds_alternative<SqlError>(opened)) return make_error_code(StorageErrc::invalid_argument);
  audit->upkeep_ = std::move(std::get<0>(opened));
  audit->upkeep_->keep_only([a = audit.get()](std::string_view key) { return a->in_sample(key); });
  audit->parsed_ = std::make_unique<ParsedBatch>(audit->fields_, shard_of);
  audit->upkeep_->lineage_begins_at(audit->at_.lineage);
  RETURN_IF_ERROR(audit->upkeep_->begins_at(audit->at_.since));
  return audit;
}

Result<bool> Audit::step() {
  if (made_) return compare_some();
  ASSIGN_OR_RETURN(const bool all, read_some());
  if (!all) return false;
  made_ = database_.snapshot();
  const std::string rows(1, kRowSpace);
  a_ = snapshot_->cursor(*live_->view->family(), rows, behind_prefix(rows));
  b_ = made_->cursor(*family_, rows, behind_prefix(rows));
  return false;
}

// true: all is read.
Result<bool> Audit::read_some() {
  const Sequence from = next(upkeep_->checkpoint().position.sequence());
  if (from > at()) return true;
  ReadOptions options;
  options.records_max = kSliceRecords;
  options.historical = true;
  ASSIGN_OR_RETURN(RecordBatch batch, stream_->log().read(from, options));
  std::erase_if(batch.records, [&](const Record& r) { return r.sequence > at(); });
  parsed_->parse(batch.records);
  const Position through = Position::through(Sequence(batch.next.value() - 1));
  RETURN_IF_ERROR(upkeep_->apply(*parsed_, std::min(through, at_.position)));
  return next(upkeep_->checkpoint().position.sequence()) > at();
}

// A row that has gone with time may still be stored on one side and not on the other.
bool Audit::has_gone(const Cursor& row) const {
  const auto& expiry = live_->view->definition().expiry;
  return expiry && row.valid() &&
         expiry->bucket(deadline_of(row.value())) <= at_.expiry->stream_time.time_since_epoch().count();
}

Result<bool> Audit::compare_some() {
  for (std::uint32_t i = 0; i < kSliceRows && (a_->valid() || b_->valid()); ++i) {
    if (a_->valid() && (!in_sample(a_->key().substr(1)) || has_gone(*a_))) {
      a_->next();
      continue;
    }
    if (has_gone(*b_)) {
      b_->next();
      continue;
    }
    const int order = !a_->valid() ? 1 : !b_->valid() ? -1 : a_->key().compare(b_->key());
    const std::string key((order <= 0 ? a_ : b_)->key().substr(1));
    ++rows_;
    bool same = order == 0 && a_->value() == b_->value();
    if (same) {
      ASSIGN_OR_RETURN(same, same_members(key));
    }
    if (!same) differs(key);
    if (order <= 0) a_->next();
    if (order >= 0) b_->next();
  }
  if (const ErrorCode error = a_->error() ? a_->error() : b_->error()) return error;
  return !a_->valid() && !b_->valid();
}

// Group keys mark their own end, so what begins with one is below its row.
Result<bool> Audit::same_members(std::string_view group_key) const {
  const StateLayout& layout = live_->view->layout();
  for (const char space : {kMemberSpace, kLineageSpace}) {
    if (space == kMemberSpace ? !layout.has_members() : !layout.lineage()) continue;
    const std::string below = space + std::string(group_key);
    const auto a = snapshot_->cursor(*live_->view->family(), below, behind_prefix(below));
    const auto b = made_->cursor(*family_, below, behind_prefix(below));
    while (a->valid() && b->valid() && a->key() == b->key() && a->value() == b->value()) {
      a->next();
      b->next();
    }
    if (const ErrorCode error = a->error() ? a->error() : b->error()) return error;
    if (a->valid() || b->valid()) return false;
  }
  return true;
}

void Audit::differs(std::string_view group_key) {
  ++mismatches_;
  if (first_keys_.size() < kShownMax) first_keys_.push_back(to_hex(group_key));
}

}  // namespace tidemill::views
