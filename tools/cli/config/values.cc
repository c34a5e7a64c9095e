#include <arpa/inet.h>

#include <array>
#include <charconv>
#include <cmath>

#include "tools/cli/config/config.h"

namespace tidemill::cli {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};
// The largest binary unit first: what a size is written with.
constexpr std::array<Unit, 9> kSizes{{{"GiB", 1ull << 30},
                                      {"MiB", 1ull << 20},
                                      {"KiB", 1ull << 10},
                                      {"TiB", 1ull << 40},
                                      {"GB", 1'000'000'000},
                                      {"MB", 1'000'000},
                                      {"KB", 1'000},
                                      {"kB", 1'000},
                                      {"B", 1}}};
constexpr std::array<Unit, 5> kDurations{{{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};

// A number, perhaps with a fraction, and one of the units right behind it or after a blank.
std::optional<std::uint64_t> with_unit(std::string_view text, std::span<const Unit> units, std::uint64_t bare) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc() || !(value >= 0)) return std::nullopt;
  std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (unit.starts_with(' ')) unit.remove_prefix(1);
  std::uint64_t factor = unit.empty() ? bare : 0;
  for (const Unit& u : units)
    if (u.name == unit) factor = u.factor;
  if (factor == 0) return std::nullopt;
  const double product = value * static_cast<double>(factor);
  if (product > 9e15 || product != std::floor(product)) return std::nullopt;
  return static_cast<std::uint64_t>(product);
}

}  // namespace

std::optional<std::uint64_t> parse_size(std::string_view text) {
  return with_unit(text, kSizes, 1);
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  const auto ms = with_unit(text, kDurations, 0);
  if (!ms) return std::nullopt;
  return std::chrono::milliseconds(*ms);
}

std::string format_size(std::uint64_t bytes) {
  for (const Unit& u : std::span(kSizes).first(3))
    if (bytes != 0 && bytes % u.factor == 0) return std::to_string(bytes / u.factor) + std::string(u.name);
  return std::to_string(bytes) + "B";
}

std::string format_duration(std::chrono::milliseconds duration) {
  const auto ms = static_cast<std::uint64_t>(duration.count());
  if (ms == 0) return "0s";
  for (const Unit& u : kDurations) {
    // "60s" reads better than "1m", "24h" than "1d".
    if (ms % u.factor == 0 && (ms / u.factor > 1 || u.factor <= 1'000))
      return std::to_string(ms / u.factor) + std::string(u.name);
  }
  return std::to_string(ms) + "ms";
}

std::optional<Address> parse_address(std::string_view text, std::string& error) {
  const std::size_t colon = text.rfind(':');
  Address address;
  int port = -1;
  if (colon != std::string_view::npos) {
    const std::string_view digits = text.substr(colon + 1);
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (digits.empty() || failed != std::errc() || end != digits.data() + digits.size()) port = -1;
  }
  if (port < 0 || port > 65'535) {
    error = "must be ADDRESS:PORT with a port from 0 to 65535, such as 127.0.0.1:7077";
    return std::nullopt;
  }
  address.port = static_cast<std::uint16_t>(port);
  address.host = text.substr(0, colon);
  if (address.host == "localhost") address.host = "127.0.0.1";
  if (address.host.starts_with('[') && address.host.ends_with(']'))
    address.host = address.host.substr(1, address.host.size() - 2);
  else if (address.host.find(':') != std::string::npos)
    address.host.clear();  // an IPv6 address without brackets: where would the port begin?
  in_addr v4{};
  in6_addr v6{};
  if (inet_pton(AF_INET, address.host.c_str(), &v4) == 1) {
    address.loopback = (ntohl(v4.s_addr) >> 24) == 127;
  } else if (inet_pton(AF_INET6, address.host.c_str(), &v6) == 1) {
    address.loopback = IN6_IS_ADDR_LOOPBACK(&v6);
  } else {
    error = "must be a numeric address (or localhost) and a port, such as 127.0.0.1:7077 or [::1]:7077";
    return std::nullopt;
  }
  return address;
}

}  // namespace tidemill::cli
