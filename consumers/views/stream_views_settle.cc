// Decisions about records in quarantine, where a view is kept.
#include <algorithm>

#include "consumers/views/stream_views.h"
#include "storage/base/logger.h"

namespace tidemill::views {

std::shared_ptr<StreamViews::Kept> StreamViews::kept_of(const LiveView& view) const {
  for (const auto* kept : {&live_, &behind_})
    for (const auto& k : *kept)
      if (k->live.get() == &view) return k;
  return nullptr;
}

Result<std::optional<StreamViews::Trial>> StreamViews::try_settling(const LiveView& view,
                                                                    std::span<const Decided> decided) {
  const std::lock_guard lock(mutex_);
  const auto kept = kept_of(view);
  if (!kept || closed_) return std::optional<Trial>();
  const std::lock_guard slice(kept->mutex);
  Trial trial;
  trial.before = database_.snapshot();
  ASSIGN_OR_RETURN(trial.settling, kept->upkeep->prepare_settling(decided));
  if (const auto write = kept->upkeep->to_write()) trial.changes = *write->set;
  kept->upkeep->forget();
  return std::optional<Trial>(std::move(trial));
}

Result<void> StreamViews::settle(const LiveView& view, std::span<const Decided> decided) {
  const std::lock_guard lock(mutex_);
  const auto kept = kept_of(view);
  if (!kept || closed_) return {};  // the next start does it
  const std::lock_guard slice(kept->mutex);
  return settle(*kept, decided);
}

std::uint64_t StreamViews::counted_late(const LiveView& live) {
  if (!live.decisions) return 0;
  const Decisions::Counts counts = live.decisions->counts();
  return counts.redriven + counts.edited;
}

// nullopt: all that there are.
Result<void> StreamViews::settle(Kept& kept, std::optional<std::span<const Decided>> decided) {
  const std::uint64_t counted = counted_late(*kept.live);
  const Result<void> settled = decided ? kept.upkeep->settle(*decided) : kept.upkeep->settle();
  if (!decided || !settled) kept.unsettled = !settled;
  if (!kept.unsettled) kept.live->settled = counted;
  if (!settled)
    env_.logger.error("decisions about records in quarantine are kept and cannot take effect now; it is tried again",
                      {{"view", kept.live->view->title()}, {"cause", settled.error().message()}});
  show(kept);
  return settled;
}

}  // namespace tidemill::views
