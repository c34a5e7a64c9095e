// A sample of one view after the other, made again from the log and compared.
#include "consumers/views/catalog.h"
#include "storage/base/errors.h"
#include "storage/base/logger.h"
#include "storage/seam/clock.h"
#include "storage/seam/executor.h"

namespace tidemill::views {

// Where definitions are built, with the same rests; never two at a time.
void Catalog::audit_later(std::chrono::nanoseconds pause) {
  Executor& executor = options_.builds != nullptr ? *options_.builds : env_.background;
  executor.post_after(pause, later([](Catalog& catalog) { catalog.go_on_with_audit(); }));
}

// The next one by name that is served as it was before the last stop. What looks up other views may rightly differ.
std::optional<Catalog::Entry> Catalog::next_to_audit() {
  const std::lock_guard lock(mutex_);
  auto at = entries_.upper_bound(audited_last_);
  for (std::size_t i = 0; i < entries_.size(); ++i, ++at) {
    if (at == entries_.end()) at = entries_.begin();
    const LiveView& live = *at->second.live;
    if (!live.ready() || live.rows == 0 || !live.view->definition().deterministic) continue;
    audited_last_ = at->first;
    return at->second;
  }
  return std::nullopt;
}

void Catalog::go_on_with_audit() {
  const MonotonicTime begun = env_.clock.monotonic();
  const auto ended = [&] {
    audit_.reset();
    audit_later(options_.audit);
  };
  if (!audit_) {
    const auto entry = next_to_audit();
    if (!entry) return audit_later(options_.audit);
    auto audit = Audit::begin(env_, *database_, entry->stream, entry->live);
    if (!audit) {
      if (audit.error() != StorageErrc::before_start)
        env_.logger.warning("a view could not be audited; it is tried again in its turn",
                            {{"view", entry->live->view->title()}, {"cause", audit.error().message()}});
      return audit_later(options_.audit);
    }
    audit_ = std::move(*audit);
  }
  if (audit_->live().dropped) return ended();
  const auto done = audit_->step();
  if (!done) {
    // Retention may have removed what it had still to read.
    if (done.error() != StorageErrc::before_start)
      env_.logger.warning("a view could not be audited; it is tried again in its turn",
                          {{"view", audit_->live().view->title()}, {"cause", done.error().message()}});
    return ended();
  }
  if (!*done) {
    const MonotonicTime now = env_.clock.monotonic();
    return audit_later(pace_->pause(now - begun, now));
  }
  const std::string name = audit_->live().view->title();
  if (const auto there = entry(audit_->live().view->qualified_name()); there && there->live.get() == &audit_->live()) {
    there->live->audited += audit_->rows();
    there->live->audit_mismatches += audit_->mismatches();
    there->live->audited_time_ms = env_.clock.wall().time_since_epoch().count();
  }
  for (const std::string& key : audit_->first_keys())
    env_.logger.error("a row of a view is not what the log gives; `tidemill view verify` compares all of it",
                      {{"view", name}, {"key", key}, {"sequence", std::to_string(audit_->at().value())}});
  if (audit_->mismatches() == 0)
    env_.logger.info(
        "a sample of a view is what the log gives",
        {{"view", name}, {"rows", std::to_string(audit_->rows())}, {"sequence", std::to_string(audit_->at().value())}});
  ended();
}

}  // namespace tidemill::views
