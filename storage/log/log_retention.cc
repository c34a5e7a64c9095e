// Retention's part of the log: where it should begin, and moving its start.

#include <algorithm>

#include "storage/base/errors.h"
#include "storage/log/log_impl.h"

namespace tidemill {

Result<Sequence> LogImpl::retention_start(const RetentionLimits& limits) {
  Sequence wanted = start();
  if (!limits.older_than && !limits.bytes_max) return wanted;
  const std::vector<SegmentName> names = segments_.names();
  std::uint64_t held = segments_.bytes();
  for (std::size_t i = 0; i + 1 < names.size(); ++i) {
    bool goes = limits.bytes_max && held > *limits.bytes_max;
    if (!goes && limits.older_than) {
      // The next header knows the latest time up to there; where it is damaged a later one does, which keeps more.
      std::shared_ptr<SegmentFile> after;
      for (std::size_t next = i + 1; next < names.size() && !after; ++next) {
        ASSIGN_OR_RETURN(after, segments_.open_or_null(names[next]));
      }
      goes = after && after->header.running_max < *limits.older_than;
    }
    if (!goes) break;
    if (const auto info = env_.files.info(segments_.path(names[i]))) held -= std::min(held, info->size);
    wanted = names[i + 1].first;
  }
  return std::max(wanted, start());
}

Result<Sequence> LogImpl::drop_before(Sequence wanted) {
  std::lock_guard lock(retention_mutex_);
  if (retention_closed_) return make_error_code(StorageErrc::closed);
  const std::vector<SegmentName> names = segments_.names();
  // A retry whose request is in no snapshot would not be known again at the next start.
  const bool keyed = options_.request_window != 0;
  SegmentName begins = names.front();
  for (std::size_t i = 1; i < names.size() && names[i].first <= wanted; ++i) {
    if (keyed) {
      ASSIGN_OR_RETURN(const auto segment, segments_.open_or_null(names[i]));
      if (!segment) continue;  // a damaged header: the next one may say
      if (segment->header.requests_before > covered_requests_) {
        snapshot_wanted_ = true;  // with the next commit
        break;
      }
    }
    begins = names[i];
  }
  if (begins.first <= start()) return start();
  LogStart mark;
  mark.incarnation = incarnation_;
  mark.start = begins.first;
  mark.segment = begins.id;
  RETURN_IF_ERROR(start_file_.write(mark));
  // On disk. Readers first, then the files.
  writer_.set_log_start(begins.first);
  start_.store(begins.first.value(), std::memory_order_release);
  segments_.drop_before(begins.first);
  return begins.first;
}

}  // namespace tidemill
