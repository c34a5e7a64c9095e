#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "engine/qualified_name.h"
#include "storage/base/metrics.h"

namespace tidemill {

// How long records take into each view, of all tenants: a histogram per view, made when first needed. Any thread.
class VisibleLatency {
 public:
  void observe(const QualifiedName& view, std::uint64_t us) {
    const std::lock_guard lock(mutex_);
    auto& histogram = by_view_[view];
    if (!histogram) histogram = std::make_unique<Histogram>(kLatencyBoundsUs);
    histogram->observe(us);
  }
  void each(const std::function<void(const QualifiedName&, const Histogram&)>& f) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [view, histogram] : by_view_) f(view, *histogram);
  }

 private:
  mutable std::mutex mutex_;
  std::map<QualifiedName, std::unique_ptr<Histogram>> by_view_;
};

}  // namespace tidemill
