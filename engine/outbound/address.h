#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tidemill::outbound {

// An address of IPv4 (the first four bytes) or IPv6, in network order. Without a zone: those name interfaces of one
// machine.
struct Address {
  bool v6 = false;
  std::array<std::uint8_t, 16> bytes{};
  auto operator<=>(const Address&) const = default;
};
// Four decimal numbers without leading zeros, or IPv6 as RFC 4291 writes it; nothing else that a C library takes.
std::optional<Address> parse_address(std::string_view text);
std::string to_text(const Address& address);

// Why that address is none of the public Internet's hosts; empty: it is one. Refused are all special purposes of IANA's
// registries (RFC 6890 and what followed), also those that are reached globally (AS112, AMT), what carries an address
// of IPv4 inside (mapped, NAT64, 6to4, Teredo), and of IPv6 all that is not 2000::/3.
std::string_view why_not_public(const Address& address);

struct Network {
  Address base;
  unsigned bits = 0;
  bool contains(const Address& address) const;
};
std::optional<Network> parse_network(std::string_view text);  // 10.1.0.0/16; bits behind the mask must be 0

}  // namespace tidemill::outbound
