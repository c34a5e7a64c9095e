#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "engine/usage/usage_log.h"
#include "storage/base/errors.h"

namespace tidemill {

// A usage log in memory, which outlives those who write it.
struct FakeUsageLog final : UsageLog {
  Result<void> append(const std::vector<UsageDelta>& some) override {
    const std::lock_guard lock(mutex);
    if (failing) return StorageErrc::flush_failed;
    ++appends;
    deltas.insert(deltas.end(), some.begin(), some.end());
    return {};
  }
  Result<void> read(WallTime since, const std::string& tenant,
                    const std::function<void(const UsageDelta&)>& each) override {
    if (reading) reading(tenant);
    {
      const std::lock_guard lock(mutex);
      if (failing) return StorageErrc::damaged;
      for (const UsageDelta& delta : deltas)
        if (delta.hour >= since && (tenant.empty() || delta.tenant == tenant)) each(delta);
    }
    if (was_read) was_read();
    if (damaged) return StorageErrc::damaged;
    return {};
  }
  std::map<std::string, UsageCounts> noted() const override { return {}; }
  UsageCounts sum(KeyId key) {
    const std::lock_guard lock(mutex);
    UsageCounts all;
    for (const UsageDelta& delta : deltas) {
      if (delta.key != key) continue;
      all.requests += delta.counts.requests;
      all.records += delta.counts.records;
      all.bytes += delta.counts.bytes;
      all.refused += delta.counts.refused;
    }
    return all;
  }

  std::function<void(const std::string& tenant)> reading;  // called before it is read
  std::function<void()> was_read;                          // called behind it

  std::mutex mutex;
  std::vector<UsageDelta> deltas;
  std::size_t appends = 0;
  bool failing = false;
  bool damaged = false;  // some of it: the rest can be read
};

}  // namespace tidemill
