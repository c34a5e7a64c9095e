// Rows as they were.
#include "consumers/views/catalog.h"
#include "consumers/views/past.h"
#include "engine/start_of.h"
#include "storage/base/errors.h"
#include "storage/base/logger.h"
#include "storage/base/text.h"
#include "storage/seam/clock.h"

namespace tidemill::views {
namespace {

// When the record arrived. 1970: it cannot be read.
Result<WallTime> arrival_of(Log& log, Sequence sequence) {
  if (sequence < log.start() || sequence == Sequence(0)) return WallTime{};
  ReadOptions options;
  options.records_max = 1;
  const auto batch = log.read(sequence, options);
  if (!batch && batch.error() == StorageErrc::before_start) return WallTime{};
  if (!batch) return batch.error();
  if (batch->records.empty() || batch->records.front().sequence != sequence) return WallTime{};
  return batch->records.front().arrival;
}

PastRefusal ahead(std::string message) {
  return {"at_ahead", std::move(message), std::nullopt};
}

}  // namespace

// The last record that had arrived by then.
Result<std::variant<Sequence, PastRefusal>> Catalog::sequence_at(const Entry& entry, WallTime time) const {
  using Found = std::variant<Sequence, PastRefusal>;
  if (const WallTime now = env_.clock.wall(); time > now)
    return Found(ahead("`at` has not come yet: the server's clock says " + format_rfc3339(now) + "."));
  Log& log = entry.stream->log();
  ASSIGN_OR_RETURN(const Sequence later, first_since(log, time + std::chrono::milliseconds(1)));
  // What arrived before the first record that is held is not known any more; and so is how far the log was by then.
  if (const Sequence start = log.start(); later <= start && start > Sequence(1))
    return Found(PastRefusal{"history_gone",
                             "Retention has removed the records that had come by then: the log begins at sequence " +
                                 std::to_string(start.value()) + ".",
                             start});
  return Found(Sequence(later.value() - 1));
}

Result<std::optional<Views::PastResult>> Catalog::get_at(const QualifiedName& view, const Row& key,
                                                         const PastOptions& options) {
  const auto there = entry(view);
  if (!there) return std::optional<PastResult>();
  const MonotonicTime until = env_.clock.monotonic() + options.time_max;
  std::variant<Sequence, PastRefusal> wanted = Sequence(0);
  if (const auto* time = std::get_if<WallTime>(&options.at)) {
    ASSIGN_OR_RETURN(wanted, sequence_at(*there, *time));
  } else {
    wanted = std::get<Sequence>(options.at);
  }
  // Behind the look-up by time: what had come by then may be in it.
  const auto snapshot = database_->snapshot();
  ASSIGN_OR_RETURN(const Checkpoint checkpoint, there->live->view->checkpoint(*snapshot));
  PastResult result{std::nullopt, as_of(*there, checkpoint), std::nullopt};
  if (auto* refused = std::get_if<PastRefusal>(&wanted)) {
    result.refused = std::move(*refused);
    return std::optional<PastResult>(std::move(result));
  }
  const Sequence at = std::get<Sequence>(wanted);
  if (at > checkpoint.position.sequence()) {
    result.refused = ahead("The view has come to sequence " + std::to_string(checkpoint.position.sequence().value()) +
                           ", and `at` is sequence " + std::to_string(at.value()) + ".");
    return std::optional<PastResult>(std::move(result));
  }
  auto told = row_at(*there->live->view, *snapshot, *there->stream, there->live->decisions.get(), key, at, env_.clock,
                     {until, options.cancelled});
  if (!told) {
    env_.logger.error("a row of before cannot be made again", {{"view", text_of(view)},
                                                               {"key", to_hex(encode_group_key(key))},
                                                               {"at", std::to_string(at.value())},
                                                               {"cause", told.error().message()}});
    return told.error();
  }
  if (auto* refused = std::get_if<PastRefusal>(&*told)) {
    result.refused = std::move(*refused);
    return std::optional<PastResult>(std::move(result));
  }
  result.row = std::move(std::get<std::optional<Row>>(*told));
  if (at != checkpoint.position.sequence()) {
    Checkpoint then;
    then.position = Position::through(at);
    ASSIGN_OR_RETURN(then.time, arrival_of(there->stream->log(), at));
    result.as_of = as_of(*there, then);
  }
  return std::optional<PastResult>(std::move(result));
}

}  // namespace tidemill::views
