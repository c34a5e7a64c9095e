#include "engine/outbound/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace tidemill::outbound {
namespace {

struct Range {
  std::array<std::uint8_t, 16> base;
  unsigned bits;
  std::string_view what;
};

constexpr Range kRanges4[] = {
    {{0}, 8, "this network"},
    {{10}, 8, "private"},
    {{100, 64}, 10, "shared by a carrier's customers"},
    {{127}, 8, "loopback"},
    {{169, 254}, 16, "link-local, where clouds have their metadata"},
    {{172, 16}, 12, "private"},
    {{192, 0, 0}, 24, "protocol assignments"},
    {{192, 0, 2}, 24, "documentation"},
    {{192, 31, 196}, 24, "AS112, a sink for reverse names"},
    {{192, 52, 193}, 24, "relays of multicast (AMT)"},
    {{192, 88, 99}, 24, "6to4 relays"},
    {{192, 168}, 16, "private"},
    {{192, 175, 48}, 24, "AS112, a sink for reverse names"},
    {{198, 18}, 15, "benchmarks"},
    {{198, 51, 100}, 24, "documentation"},
    {{203, 0, 113}, 24, "documentation"},
    {{224}, 4, "multicast"},
    {{240}, 4, "reserved, or broadcast"},
};

// What is not in 2000::/3 is refused whatever it is; it has names here for the log.
constexpr Range kRanges6[] = {
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 128, "unspecified"},
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 128, "loopback"},
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96, "an address of IPv4, mapped"},
    {{0}, 96, "an address of IPv4, compatible"},
    {{0, 0x64, 0xff, 0x9b}, 96, "an address of IPv4, of NAT64"},
    {{0, 0x64, 0xff, 0x9b, 0, 1}, 48, "an address of IPv4, of a local NAT64"},
    {{0xfc}, 7, "unique local"},
    {{0xfe, 0x80}, 10, "link-local"},
    {{0xfe, 0xc0}, 10, "site-local"},
    {{0xff}, 8, "multicast"},
    {{0x20, 0x01, 0, 0}, 32, "Teredo, with an address of IPv4 inside"},
    {{0x20, 0x01, 0, 0}, 23, "protocol assignments"},
    {{0x20, 0x01, 0x0d, 0xb8}, 32, "documentation"},
    {{0x20, 0x02}, 16, "6to4, with an address of IPv4 inside"},
    {{0x26, 0x20, 0, 0x4f, 0x80, 0}, 48, "AS112, a sink for reverse names"},
    {{0x3f, 0xff}, 20, "documentation"},
};

bool same_bits(const std::uint8_t* a, const std::uint8_t* b, unsigned bits) {
  const unsigned whole = bits / 8, rest = bits % 8;
  if (!std::equal(a, a + whole, b)) return false;
  return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

}  // namespace

std::optional<Address> parse_address(std::string_view text) {
  char copy[INET6_ADDRSTRLEN + 1] = {};
  if (text.empty() || text.size() >= sizeof copy || text.find('\0') != text.npos) return std::nullopt;
  text.copy(copy, text.size());
  Address address;
  // glibc's takes decimal numbers without leading zeros, and no zone.
  if (::inet_pton(AF_INET, copy, address.bytes.data()) == 1) return address;
  address.v6 = true;
  if (::inet_pton(AF_INET6, copy, address.bytes.data()) == 1) return address;
  return std::nullopt;
}

std::string to_text(const Address& address) {
  char text[INET6_ADDRSTRLEN] = {};
  ::inet_ntop(address.v6 ? AF_INET6 : AF_INET, address.bytes.data(), text, sizeof text);
  return text;
}

std::string_view why_not_public(const Address& address) {
  const std::uint8_t* bytes = address.bytes.data();
  if (!address.v6) {
    for (const Range& range : kRanges4)
      if (same_bits(range.base.data(), bytes, range.bits)) return range.what;
    return {};
  }
  for (const Range& range : kRanges6)
    if (same_bits(range.base.data(), bytes, range.bits)) return range.what;
  return (bytes[0] >> 5) == 1 ? std::string_view() : "not given to anybody";
}

bool Network::contains(const Address& address) const {
  return address.v6 == base.v6 && same_bits(base.bytes.data(), address.bytes.data(), bits);
}

std::optional<Network> parse_network(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == text.npos) return std::nullopt;
  const auto base = parse_address(text.substr(0, slash));
  const std::string_view digits = text.substr(slash + 1);
  Network network;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), network.bits);
  if (!base || error != std::errc() || end != digits.data() + digits.size() || network.bits > (base->v6 ? 128u : 32u))
    return std::nullopt;
  network.base = *base;
  for (unsigned bit = network.bits; bit < 128; ++bit)
    if (base->bytes[bit / 8] >> (7 - bit % 8) & 1) return std::nullopt;
  return network;
}

}  // namespace tidemill::outbound
