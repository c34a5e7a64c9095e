#include "consumers/views/compare.h"

#include "consumers/views/upkeep.h"
#include "storage/base/errors.h"
#include "storage/base/text.h"
#include "storage/seam/random.h"

namespace tidemill::views {
namespace {

constexpr std::size_t kDifferencesMax = 1'000;
constexpr std::uint64_t kCacheBytes = 8 << 20;

Result<void> rebuild(Env& env, Database& database, const Stream& stream, const Definition& definition,
                     std::shared_ptr<Family> family, const Checkpoint& live, const FromBase& from_base) {
  const Position until = live.position;
  const Sequence first = stream.log().start();
  if (live.since < first) {
    ASSIGN_OR_RETURN(const auto base, from_base(database, *family, first, until.sequence()));
    if (!base) return make_error_code(StorageErrc::before_start);
  }
  FieldSet fields;
  auto opened = Upkeep::open(env, definition, database, std::move(family), fields, kCacheBytes);
  if (std::holds_alternative<SqlError>(opened)) return make_error_code(StorageErrc::invalid_argument);
  auto& upkeep = *std::get<0>(opened);
  upkeep.begins_at(live.since);
  ParsedBatch parsed(fields, [&](HashKey h, Sequence s) { return stream.shard_of(h, s); });
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

Result<std::vector<Views::Difference>> rebuild_and_compare(Env& env, const Database& database, Database& scratch,
                                                           const Stream& stream, const View& view,
                                                           const FromBase& from_base) {
  const auto live = database.snapshot();
  ASSIGN_OR_RETURN(const Checkpoint checkpoint, view.checkpoint(*live));
  const std::string name = "t" + std::to_string(env.random.next());
  ASSIGN_OR_RETURN(const auto family, scratch.family(name));
  const Result<void> rebuilt = rebuild(env, scratch, stream, view.definition(), family, checkpoint, from_base);
  std::vector<Views::Difference> differences;
  ErrorCode error = rebuilt ? ErrorCode() : rebuilt.error();
  if (!error) {
    const auto made = scratch.snapshot();
    const auto a = live->cursor(*view.family(), {}, {});
    const auto b = made->cursor(*family, {}, {});
    while ((a->valid() || b->valid()) && differences.size() < kDifferencesMax) {
      const int order = !a->valid() ? 1 : !b->valid() ? -1 : a->key().compare(b->key());
      if (order < 0) {
        differences.push_back({to_hex(a->key()), to_hex(a->value()), ""});
        a->next();
      } else if (order > 0) {
        differences.push_back({to_hex(b->key()), "", to_hex(b->value())});
        b->next();
      } else {
        if (a->value() != b->value()) differences.push_back({to_hex(a->key()), to_hex(a->value()), to_hex(b->value())});
        a->next();
        b->next();
      }
    }
    error = a->error() ? a->error() : b->error();
  }
  RETURN_IF_ERROR(scratch.drop(name));
  if (error) return error;
  return differences;
}

}  // namespace tidemill::views
