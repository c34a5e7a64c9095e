#include "engine/limits/meter.h"

namespace tidemill {

std::string_view limit_kind_name(LimitKind kind) {
  static constexpr std::array<std::string_view, kLimitKinds> kNames{
      "rate", "day_quota", "month_quota", "connections", "streams", "disk", "changes"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::optional<Refusal> Meter::refuses(const LimitSet& limits, const Moment& now, const Amounts& amounts) {
  look(now);
  std::optional<Refusal> found;
  const auto refuse = [&](LimitKind kind, Measure m, std::uint64_t most, std::chrono::nanoseconds wait) {
    if (!found || wait > found->retry_after) found = Refusal{kind, m, false, most, amounts[m], wait};
  };
  for (const Measure m : kAllMeasures) {
    if (amounts[m] == 0) continue;
    const LimitSet::Of& of = limits[m];
    if (of.rate) {
      const auto wait = bucket(m).wait(*of.rate, now.monotonic, amounts[m]);
      if (wait > std::chrono::nanoseconds(0)) refuse(LimitKind::rate, m, of.rate->per_second, wait);
    }
    const auto over = [&](const Quota& quota, std::uint64_t most) {
      return quota.used(m) > most || amounts[m] > most - quota.used(m);
    };
    if (of.per_day && over(day_, *of.per_day)) refuse(LimitKind::day_quota, m, *of.per_day, day_.until_next(now));
    if (of.per_month && over(month_, *of.per_month))
      refuse(LimitKind::month_quota, m, *of.per_month, month_.until_next(now));
  }
  return found;
}

void Meter::spend(const LimitSet& limits, const Moment& now, const Amounts& amounts) {
  for (const Measure m : kAllMeasures)
    if (limits[m].rate && amounts[m] != 0) bucket(m).take(*limits[m].rate, now.monotonic, amounts[m]);
}

void Meter::take(const LimitSet& limits, const Moment& now, const Amounts& amounts) {
  spend(limits, now, amounts);
  day_.add(amounts);
  month_.add(amounts);
}

void Meter::give_back(const LimitSet& limits, const Amounts& amounts, MonotonicTime taken) {
  for (const Measure m : kAllMeasures)
    if (limits[m].rate && amounts[m] != 0) bucket(m).give_back(amounts[m]);
  give_back_quota(amounts, taken);
}

void Meter::give_back_quota(const Amounts& amounts, MonotonicTime taken) {
  day_.give_back(amounts, taken);
  month_.give_back(amounts, taken);
}

void Meter::at_least(const Moment& now, Period period, const Amounts& amounts) {
  look(now);
  (period == Period::day ? day_ : month_).at_least(amounts);
}

std::uint64_t Meter::used(const Moment& now, Period period, Measure measure) {
  look(now);
  return (period == Period::day ? day_ : month_).used(measure);
}

bool Meter::blank(const LimitSet& limits, const Moment& now) {
  look(now);
  for (const Measure m : kAllMeasures)
    if (limits[m].rate && bucket(m).left(*limits[m].rate, now.monotonic) < limits[m].rate->burst) return false;
  if (connections != 0) return false;
  return !limits.has_quota() || month_.unused();  // the month has all that the day has
}

}  // namespace tidemill
