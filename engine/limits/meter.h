#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>

#include "engine/limits/limit_set.h"
#include "engine/limits/quota.h"
#include "engine/limits/refusal.h"
#include "engine/limits/token_bucket.h"

namespace tidemill {

// What one key or tenant has used of its rates and quotas. The caller locks.
class Meter {
 public:
  // The limit among those that do not let `amounts` pass that does so the longest; nullopt: they pass.
  std::optional<Refusal> refuses(const LimitSet& limits, const Moment& now, const Amounts& amounts);
  // What has passed. After refuses(), with the same moment.
  void take(const LimitSet& limits, const Moment& now, const Amounts& amounts);
  // Work for which nothing is stored: the rates take it, whatever is left of them; quotas do not count it.
  void spend(const LimitSet& limits, const Moment& now, const Amounts& amounts);
  void give_back(const LimitSet& limits, const Amounts& amounts, MonotonicTime taken);
  // Of a request that was let in and refused later: its token stays used, the quota does not count it. What was taken
  // from a day or month that is over stays used.
  void give_back_quota(const Amounts& amounts, MonotonicTime taken);

  // Other limits apply from now on: buckets begin full, quotas go on.
  void limits_changed() { buckets_ = {}; }
  void at_least(const Moment& now, Period period, const Amounts& amounts);
  std::uint64_t used(const Moment& now, Period period, Measure measure);
  // Calls `each` with every rate and quota there is.
  template <class Each>
  void standings(const LimitSet& limits, const Moment& now, Each each);
  // Nothing of it need be remembered.
  bool blank(const LimitSet& limits, const Moment& now);

  std::uint32_t connections = 0;  // open

 private:
  void look(const Moment& now) {
    day_.look(now);
    month_.look(now);
  }
  TokenBucket& bucket(Measure m) { return buckets_[static_cast<std::size_t>(m)]; }

  std::array<TokenBucket, kMeasures> buckets_;
  Quota day_{Period::day};
  Quota month_{Period::month};
};

template <class Each>
void Meter::standings(const LimitSet& limits, const Moment& now, Each each) {
  using std::chrono::ceil;
  using std::chrono::seconds;
  look(now);
  for (const Measure m : kAllMeasures) {
    const LimitSet::Of& of = limits[m];
    if (of.rate) {
      const std::uint64_t window = (of.rate->burst + of.rate->per_second - 1) / of.rate->per_second;
      each(Standing{LimitKind::rate, m, false, of.rate->burst, bucket(m).left(*of.rate, now.monotonic), seconds(window),
                    ceil<seconds>(bucket(m).until_full(*of.rate, now.monotonic))});
    }
    const auto quota = [&](LimitKind kind, const Quota& used, std::uint64_t most, seconds window) {
      const std::uint64_t left = most - std::min(most, used.used(m));
      each(Standing{kind, m, false, most, left, window, ceil<seconds>(used.until_next(now))});
    };
    if (of.per_day) quota(LimitKind::day_quota, day_, *of.per_day, seconds(86'400));
    if (of.per_month) quota(LimitKind::month_quota, month_, *of.per_month, month_.window());
  }
}

}  // namespace tidemill
