#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "engine/limits/limit_set.h"

namespace tidemill {

// Which kind of limit turned a request away, for metrics.
enum class LimitKind : std::uint8_t { rate, day_quota, month_quota, connections, streams, disk, changes };
inline constexpr std::size_t kLimitKinds = 7;
std::string_view limit_kind_name(LimitKind kind);

// A limit that does not let a request pass.
struct Refusal {
  LimitKind kind = LimitKind::rate;
  Measure measure = Measure::requests;     // of a rate or a quota
  bool of_tenant = false;                  // else of the key
  std::uint64_t most = 0;                  // what the limit is: of a rate, its per_second; of changes, an hour's
  std::uint64_t asked = 0;                 // what the request needs of it
  std::chrono::nanoseconds retry_after{};  // when it would pass, if nobody else comes before; 0: nobody knows
};

// How much is left of one limit, for headers.
struct Standing {
  LimitKind kind = LimitKind::rate;
  Measure measure = Measure::requests;
  bool of_tenant = false;
  std::uint64_t most = 0;  // of a rate, its burst
  std::uint64_t left = 0;
  std::chrono::seconds window{};   // in which `most` comes anew
  std::chrono::seconds renewed{};  // until all of it is there again
};

}  // namespace tidemill
