#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "storage/base/metrics.h"

namespace tidemill {

// How long records take into each view: a histogram per view, made when first needed. Any thread.
class VisibleLatency {
 public:
  void observe(const std::string& view, std::uint64_t us) {
    const std::lock_guard lock(mutex_);
    auto& histogram = by_view_[view];
    if (!histogram) histogram = std::make_unique<Histogram>(kLatencyBoundsUs);
    histogram->observe(us);
  }
  void each(const std::function<void(const std::string&, const Histogram&)>& f) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [view, histogram] : by_view_) f(view, *histogram);
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::unique_ptr<Histogram>> by_view_;
};

}  // namespace tidemill
