// What the catalog does so that views outlive the records that they count.
#include <algorithm>

#include "consumers/views/catalog.h"
#include "storage/base/errors.h"
#include "storage/base/logger.h"

namespace tidemill::views {

// The rows of a view, and a checkpoint that its log goes on from; else they are made anew: from the base, where the log
// no longer has all records.
Result<std::shared_ptr<Family>> Catalog::family_of(const Defined& defined, const Stream& stream, bool starting) {
  const std::string name = family_name(defined.id);
  const Sequence first = stream.log().start();
  const Sequence durable = stream.log().durable();
  ASSIGN_OR_RETURN(auto family, database_->family(name));
  const auto read = read_checkpoint(*database_, *family);
  if (!read && read.error() != StorageErrc::damaged) return read.error();
  const bool empty = read && !*read;
  if (empty && (!starting || first <= defined.event.from)) return family;
  if (read && *read && next((*read)->position.sequence()) >= first && (*read)->position.sequence() <= durable)
    return family;
  const auto anew = [&]() -> Result<void> {
    family.reset();
    RETURN_IF_ERROR(database_->drop(name));
    ASSIGN_OR_RETURN(family, database_->family(name));
    return {};
  };
  if (!empty) {
    // Damage, or rows of records that the log has not got (it was restored, or its disk lied), or has no more.
    env_.logger.error("a view does not fit its log and is made again", {{"view", text_of(defined.event.name)}});
    RETURN_IF_ERROR(anew());
    if (first == Sequence(1)) return family;
  }
  const auto rebuilt = bases_->rebuild(name, *database_, *family, first, durable);
  if (rebuilt && *rebuilt) {
    env_.logger.warning(
        "a view was taken from the base, and goes on from the log",
        {{"view", text_of(defined.event.name)}, {"sequence", std::to_string((*rebuilt)->position.sequence().value())}});
    return family;
  }
  if (!rebuilt) {
    if (rebuilt.error() != StorageErrc::damaged) return rebuilt.error();
    env_.logger.error("the base of the views is damaged", {{"view", text_of(defined.event.name)}});
    RETURN_IF_ERROR(anew());
  }
  // As it is for a view that was created after retention had begun, and has nothing on disk yet.
  env_.logger.warning("a view has no base to begin from: it counts the records that the log still has",
                      {{"view", text_of(defined.event.name)}, {"since", std::to_string(first.value())}});
  return family;
}

std::map<std::string, Sequence> Catalog::families() const {
  std::map<std::string, Sequence> out;
  const std::lock_guard lock(mutex_);
  defined_.each_family([&](const Defined& d) {
    const auto stream = engine_.find(d.event.stream);
    if (!stream) return;
    const bool kept = builds_.contains(d.id) || defined_.find(d.event.name)->serving.id == d.id;
    if (kept) out.emplace(family_name(d.id), stream->log().durable());
  });
  return out;
}

// While this goes on no view is created: one that is attached counts from where the log begins then, and that must not
// move before the view's first checkpoint is in a base.
std::string Catalog::release(const Stream& stream, Sequence target, const std::function<void(Sequence)>& drop) {
  const std::unique_lock changes(changes_, std::try_to_lock);
  if (!changes) return "Views are being created or dropped.";
  struct Counting {
    std::string name;
    std::string family;
    Sequence applied;
  };
  std::vector<Counting> views;
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return "The server is stopping.";
    for (const auto& [name, view] : defined_.all()) {
      const Defined& d = view.serving;
      if (d.event.stream != stream.definition().id) continue;
      const auto there = entries_.find(name);
      if (there == entries_.end())
        return "The view " + name.name + " could not be opened and needs the records. Drop it, or remove the cause " +
               "(GET /v1/views names it) and start the server again.";
      views.push_back({name.name, family_name(d.id), there->second.live->applied().sequence()});
      const auto build = view.building ? builds_.find(view.building->id) : builds_.end();
      if (build != builds_.end())
        views.push_back({name.name + ", as it is being built,", family_name(build->first),
                         build->second.live->applied().sequence()});
    }
  }
  const Bases::State base = bases_->state();
  Sequence reach = target;
  for (const Counting& view : views) {
    const auto in_base = base.families.find(view.family);
    reach = std::min(reach, in_base == base.families.end() ? Sequence(1) : next(in_base->second.position.sequence()));
  }
  if (reach > stream.log().start()) drop(reach);
  if (reach >= target) return {};
  for (const Counting& view : views)
    if (next(view.applied) < target)
      return "The view " + view.name + " has counted the records up to " + std::to_string(view.applied.value()) +
             " only.";
  bases_->make();
  if (base.failed.empty()) return {};  // in a moment
  return "The views' base could not be made, and is tried again: " + base.failed;
}

}  // namespace tidemill::views
