#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace tidemill {

class JsonWriter;

// What of requests is counted. Bytes: of bodies that bring records, as they were sent.
enum class Measure : std::uint8_t { requests, records, bytes };
inline constexpr std::size_t kMeasures = 3;
inline constexpr std::array<Measure, kMeasures> kAllMeasures{Measure::requests, Measure::records, Measure::bytes};
std::string_view measure_name(Measure measure);

// How much of each measure something is.
struct Amounts {
  std::array<std::uint64_t, kMeasures> of{};
  std::uint64_t& operator[](Measure m) { return of[static_cast<std::size_t>(m)]; }
  std::uint64_t operator[](Measure m) const { return of[static_cast<std::size_t>(m)]; }
};

// A token bucket's: so many a second, and `burst` at once when none came for a while. per_second is 1 to kRateMax;
// burst 1 to what a day brings.
struct Rate {
  std::uint64_t per_second = 0;
  std::uint64_t burst = 0;
  bool operator==(const Rate&) const = default;
};
inline constexpr std::uint64_t kRateMax = 1'000'000'000;
inline constexpr std::uint64_t kMostMax =
    999'999'999'999'999;  // of quotas, streams, bytes of disk: what a header can say

// What a key or a tenant may use. What is not set is not limited.
struct LimitSet {
  struct Of {
    std::optional<Rate> rate;
    std::optional<std::uint64_t> per_day, per_month;  // of the calendar in UTC
    bool any() const { return rate || per_day || per_month; }
    bool operator==(const Of&) const = default;
  };
  std::array<Of, kMeasures> of;
  std::optional<std::uint64_t> connections;  // open at a time
  std::optional<std::uint64_t> streams;      // a tenant's only
  std::optional<std::uint64_t> disk_bytes;   // a tenant's only: of the logs of its streams
  bool operator==(const LimitSet&) const = default;

  const Of& operator[](Measure m) const { return of[static_cast<std::size_t>(m)]; }
  Of& operator[](Measure m) { return of[static_cast<std::size_t>(m)]; }
  bool empty() const { return *this == LimitSet(); }
  bool has_quota() const;
};

// As events and answers have it: {"requests":{"per_second":100,"burst":100,"per_day":1000000},"connections":10}
void write_limits(JsonWriter& json, const LimitSet& limits);
// The same backwards; a sentence of what is wrong with it. `burst` may be left out: what a second brings.
std::variant<LimitSet, std::string> parse_limits(std::string_view json, bool of_tenant);

}  // namespace tidemill
