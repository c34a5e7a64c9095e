// What becomes of records in quarantine: tried, written to the system stream, then done.
#include <algorithm>

#include "consumers/views/catalog.h"
#include "consumers/views/key.h"
#include "consumers/views/overlay.h"
#include "storage/base/errors.h"

namespace tidemill::views {
namespace {

constexpr std::uint32_t kPage = 1'000;
constexpr std::uint64_t kBytesMax = 8 << 20;  // of records at once
constexpr std::size_t kShownMax = 100;
// They are kept in memory, and read at each start.
constexpr std::uint64_t kDecisionsMax = 100'000;
constexpr std::uint64_t kEditedBytesMax = 32 << 20;

ErrorCode overtaken() {
  return {ECANCELED, boost::system::generic_category()};
}

SqlError changing(std::string_view view) {
  return {"view_changing", "Another definition of " + std::string(view) + " is being built."};
}

Decision::Kind kind_of(DecisionRequest::What what) {
  switch (what) {
    case DecisionRequest::What::skip:
      return Decision::Kind::skip;
    case DecisionRequest::What::redrive:
      return Decision::Kind::redrive;
    case DecisionRequest::What::edit:
      return Decision::Kind::edit;
  }
  return {};
}

}  // namespace

// The records that the request is about, each with what will then count.
Result<Catalog::Meant> Catalog::meant(const Entry& entry, const DecisionRequest& request) const {
  const Decision decision{kind_of(request.what), request.data};
  const auto snapshot = database_->snapshot();
  const LiveView& live = *entry.live;
  Meant out;
  std::uint64_t bytes = 0;
  for (std::optional<Sequence> from = request.sequence.value_or(request.from); from;) {
    ASSIGN_OR_RETURN(const auto page, live.view->quarantine(*snapshot, *from, request.sequence ? 1 : kPage));
    for (const QuarantinedRecord& record : page.records) {
      if (request.sequence && record.sequence != *request.sequence) return out;
      if (!request.sequence && request.reason && !record.reason.starts_with(*request.reason)) continue;
      bytes += record.data.size();
      if (out.decided.size() == request.limit || (!out.decided.empty() && bytes > kBytesMax)) {
        out.next = record.sequence;
        return out;
      }
      out.decided.push_back({record.sequence, live.decisions->after(record.sequence, decision)});
    }
    from = request.sequence ? std::nullopt : page.next;
  }
  return out;
}

Result<void> Catalog::show_changes(const View& view, StreamViews::Trial& trial, DecisionResult& result) {
  const std::shared_ptr<const Snapshot> before = std::move(trial.before);
  const Overlay after(before, *view.family(), trial.changes);
  auto& keys = trial.settling.group_keys;
  std::sort(keys.begin(), keys.end());
  result.change_count = keys.size();
  keys.resize(std::min(keys.size(), kShownMax));
  ASSIGN_OR_RETURN(auto read_before, RowReader::open(view, *before));
  ASSIGN_OR_RETURN(auto read_after, RowReader::open(view, after));
  for (const std::string& key : keys) {
    DecisionResult::Change& change = result.changes.emplace_back();
    ASSIGN_OR_RETURN(const auto old_value, before->get(*view.family(), row_key(key)));
    ASSIGN_OR_RETURN(const auto new_value, after.get(*view.family(), row_key(key)));
    if (old_value) RETURN_IF_ERROR(read_before.show(key, *old_value, change.before.emplace()));
    if (new_value) RETURN_IF_ERROR(read_after.show(key, *new_value, change.after.emplace()));
  }
  return {};
}

SqlResult<DecisionResult> Catalog::decide(const QualifiedName& name, const DecisionRequest& request) {
  const std::lock_guard changes(changes_);  // no other definition begins to be built meanwhile
  const auto unread = [](const ErrorCode& error) {
    return SqlError{error == StorageErrc::damaged ? "view_damaged" : "not_stored",
                    "The view's quarantine cannot be read: " + error.message() + "."};
  };
  const auto there = entry(name);
  if (!there) return SqlError{"no_such_view", ""};
  const LiveView& live = *there->live;
  // A definition that is being built has counted, perhaps, what this one could not: then nothing could be decided that
  // holds for both. Where one is built after the decision, it meets the record with it.
  const auto served = [this, name, id = live.view->id()] {
    const auto* view = defined_.find(name);
    return view != nullptr && view->serving.id == id && !view->building;
  };
  std::shared_ptr<StreamViews> consumer;
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return SqlError{"not_stored", "The server is stopping."};
    if (!served()) return changing(name.name);
    consumer = consumers_.find(there->stream->definition().id)->second;
  }
  auto about = meant(*there, request);
  if (!about) return unread(about.error());
  std::vector<Decided>& decided = about->decided;
  if (decided.empty() && request.sequence)
    return SqlError{"not_in_quarantine", "The record " + std::to_string(request.sequence->value()) +
                                             " is not in quarantine of " + name.name + "."};

  auto tried = consumer->try_settling(live, decided);
  if (!tried) return unread(tried.error());
  if (!*tried) return changing(name.name);
  StreamViews::Trial& trial = **tried;
  DecisionResult result;
  result.next = about->next;
  result.decided = std::move(trial.settling.done);
  for (auto& kept : trial.settling.not_counted) result.kept.emplace_back(kept.sequence, std::move(kept.reason));
  if (request.sequence && !result.kept.empty())
    return SqlError{"still_refused", "The view cannot count it: " + result.kept.front().second + "."};
  const std::uint64_t edited = request.data.size() * result.decided.size();
  if (live.decisions->size() + result.decided.size() > kDecisionsMax ||
      live.decisions->bytes() + edited > kEditedBytesMax) {
    return SqlError{"too_many_decisions", "A view keeps up to " + std::to_string(kDecisionsMax) +
                                              " decisions, and up to " + std::to_string(kEditedBytesMax >> 20) +
                                              " MiB of edited records."};
  }

  if (request.dry_run) {
    if (const auto shown = show_changes(*live.view, trial, result); !shown) return unread(shown.error());
  } else if (!result.decided.empty()) {
    const auto check = [&]() -> Result<void> {
      const std::lock_guard lock(mutex_);
      if (closed_) return make_error_code(StorageErrc::closed);
      if (!served()) return overtaken();
      return {};
    };
    const auto appended = engine_.system().append(
        kViewDecided, encode_decided({name, {kind_of(request.what), request.data}, result.decided}), check);
    if (!appended && appended.error() == overtaken()) return changing(name.name);
    if (!appended)
      return SqlError{"not_stored", "The decision could not be stored: " + appended.error().message() + "."};
    std::erase_if(decided, [&](const Decided& d) {
      return !std::binary_search(result.decided.begin(), result.decided.end(), d.sequence);
    });
    result.applied = consumer->settle(live, decided).has_value();
  }
  const auto snapshot = database_->snapshot();
  const auto checkpoint = live.view->checkpoint(*snapshot);
  if (!checkpoint) return unread(checkpoint.error());
  result.count = checkpoint->parked;
  result.as_of = as_of(*there, *checkpoint);
  return result;
}

}  // namespace tidemill::views
