#include "engine/outbound/address.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <random>

#include "tests/support/temp_dir.h"

namespace tidemill::outbound {
namespace {

bool is_public(std::string_view text) {
  const auto address = parse_address(text);
  EXPECT_TRUE(address) << text;
  return address && why_not_public(*address).empty();
}

TEST(OutboundAddress, WhatIsNotPublicIsKnown) {
  for (const char* text :
       {"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.1.2.3",
        "169.254.169.254", "169.254.0.1", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.170", "192.0.2.1",
        "192.31.196.0", "192.31.196.255", "192.52.193.1", "192.175.48.1",
        "192.175.48.255",  // reached globally: AS112, AMT
        "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1",
        "239.255.255.255", "240.0.0.1", "255.255.255.255",
        // IPv6, and IPv4 in each of its disguises
        "::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "::8.8.8.8", "64:ff9b::7f00:1",
        "64:ff9b::8.8.8.8", "64:ff9b:1::1", "2002:7f00:1::1", "2002:808:808::1", "2001::1", "2001:0:5ef5:79fd::1",
        "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254",
        "fdff::1", "2620:4f:8000::1", "2620:4f:8000:ffff::1", "fe80::1", "febf::1", "fec0::1", "ff02::1", "ff0e::1",
        "100::1", "4000::1", "e000::1"})
    EXPECT_FALSE(is_public(text)) << text;
  for (const char* text : {"1.1.1.1",
                           "8.8.8.8",
                           "9.255.255.255",
                           "11.0.0.0",
                           "100.63.255.255",
                           "100.128.0.0",
                           "126.255.255.255",
                           "128.0.0.0",
                           "169.253.255.255",
                           "169.255.0.0",
                           "172.15.255.255",
                           "172.32.0.0",
                           "192.0.1.0",
                           "192.31.195.255",
                           "192.31.197.0",
                           "192.52.192.255",
                           "192.52.194.0",
                           "192.175.47.255",
                           "192.175.49.0",
                           "192.167.255.255",
                           "192.169.0.0",
                           "198.17.255.255",
                           "198.20.0.0",
                           "223.255.255.255",
                           "2606:4700:4700::1111",
                           "2001:4860:4860::8888",
                           "2a00::1",
                           "2001:200::1",
                           "2003::1",
                           "2620:4f:7fff::1",
                           "2620:4f:8001::1",
                           "3ffe:ffff::1"})
    EXPECT_TRUE(is_public(text)) << text;
}

TEST(OutboundAddress, OneWayOfWritingIsRead) {
  for (const char* text : {"",           "127.1",       "127.0.1",    "2130706433",   "0x7f.0.0.1",
                           "0177.0.0.1", "127.0.0.1.",  "127.0.0.01", " 127.0.0.1",   "127.0.0.1 ",
                           "1.2.3.4.5",  "256.1.1.1",   "1.2.3.-4",   "::1%lo",       "fe80::1%25eth0",
                           "[::1]",      ":::",         "1::2::3",    "::ffff:127.1", "12345::",
                           "localhost",  "１２７.0.0.1"})
    EXPECT_FALSE(parse_address(text)) << text;
  EXPECT_FALSE(parse_address(std::string_view("1.2.3.4\0", 8)));
  EXPECT_EQ(to_text(*parse_address("2001:DB8:0::0:1")), "2001:db8::1");
  EXPECT_EQ(to_text(*parse_address("::ffff:1.2.3.4")), "::ffff:1.2.3.4");
}

TEST(OutboundAddress, NetworksHoldTheirAddresses) {
  const auto in = [](const char* network, const char* address) {
    return parse_network(network)->contains(*parse_address(address));
  };
  EXPECT_TRUE(in("10.1.0.0/16", "10.1.255.255"));
  EXPECT_FALSE(in("10.1.0.0/16", "10.2.0.0"));
  EXPECT_TRUE(in("10.1.2.3/32", "10.1.2.3"));
  EXPECT_FALSE(in("10.1.2.2/31", "10.1.2.4"));
  EXPECT_TRUE(in("0.0.0.0/0", "10.1.2.3"));
  EXPECT_FALSE(in("0.0.0.0/0", "::1"));
  EXPECT_FALSE(in("10.0.0.0/8", "::ffff:10.0.0.1")) << "a disguise is another address";
  EXPECT_TRUE(in("fd00:1::/32", "fd00:1:ffff::1"));
  EXPECT_FALSE(in("fd00:1::/32", "fd00:2::"));
  for (const char* text : {"10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.1/8", "fd00::/129",
                           "fd00::1/64", "x/8", "10.0.0.0/8 "})
    EXPECT_FALSE(parse_network(text)) << text;
}

// An oracle of another make: Python's ipaddress. What it calls global, and is neither multicast nor carries an address
// of IPv4, is public here, but for the few ranges below, and nothing else is.
constexpr const char* kOracle = R"(
import ipaddress, sys
stricter = [ipaddress.ip_network(n) for n in (
    "192.88.99.0/24", "192.0.0.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.175.48.0/24", "2620:4f:8000::/48",
    "2001::/23", "3fff::/20", "fec0::/10", "64:ff9b::/96", "64:ff9b:1::/48", "::/96")]
given = ipaddress.ip_network("2000::/3")
for line in sys.stdin:
    a = ipaddress.ip_address(line.strip())
    good = a.is_global and not a.is_multicast and not a.is_reserved and not a.is_unspecified
    if a.version == 6:
        good = good and a in given and not (a.ipv4_mapped or a.sixtofour or a.teredo)
    print(int(good and not any(a.version == n.version and a in n for n in stricter)))
)";

TEST(OutboundAddress, PythonSaysTheSame) {
  if (std::system("python3 -c 'import ipaddress' 2>/dev/null") != 0) GTEST_SKIP() << "python3 is not installed";
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  const char* starts[] = {
      "0.0.0.0",      "10.0.0.0",     "100.64.0.0",   "127.0.0.0",      "169.254.0.0",  "172.16.0.0",  "192.0.0.0",
      "192.0.2.0",    "192.88.99.0",  "192.168.0.0",  "198.18.0.0",     "198.51.100.0", "203.0.113.0", "224.0.0.0",
      "240.0.0.0",    "100.128.0.0",  "128.0.0.0",    "172.32.0.0",     "::",           "::1:0:0",     "::ffff:0:0",
      "64:ff9b::",    "64:ff9b:1::",  "100::",        "2000::",         "2001::",       "2001:2::",    "2001:10::",
      "2001:20::",    "2001:200::",   "2001:db8::",   "2001:db9::",     "2002::",       "2003::",      "3fff::",
      "192.31.196.0", "192.52.193.0", "192.175.48.0", "2620:4f:8000::", "4000::",       "fc00::",      "fe00::",
      "fe80::",       "fec0::",       "ff00::"};
  std::vector<Address> addresses;
  for (const char* start : starts) {
    const Address first = *parse_address(start);
    addresses.push_back(first);
    Address before = first;  // the last of the range in front of it
    for (std::size_t i = first.v6 ? 16 : 4; i-- > 0 && before.bytes[i]-- == 0;) {
    }
    addresses.push_back(before);
    for (int n = 0; n < 50; ++n) {  // and some that share their first bits
      Address near = first;
      const std::size_t size = first.v6 ? 16 : 4, fixed = 1 + random() % (size - 1);
      for (std::size_t i = fixed; i < size; ++i) near.bytes[i] = static_cast<std::uint8_t>(random());
      addresses.push_back(near);
    }
  }
  for (int n = 0; n < 20'000; ++n) {
    Address address;
    address.v6 = n % 2 == 0;
    for (std::size_t i = 0; i < (address.v6 ? 16u : 4u); ++i) address.bytes[i] = static_cast<std::uint8_t>(random());
    if (n % 4 == 0) address.bytes[0] = static_cast<std::uint8_t>(0x20 + random() % 0x20);
    addresses.push_back(address);
  }
  const TempDir directory;
  const std::string in = directory.path() + "/in", out = directory.path() + "/out",
                    code = directory.path() + "/oracle.py";
  std::ofstream(code) << kOracle;
  {
    std::ofstream file(in);
    for (const Address& address : addresses) file << to_text(address) << "\n";
  }
  ASSERT_EQ(std::system(("python3 " + code + " < " + in + " > " + out).c_str()), 0);
  std::ifstream answers(out);
  std::size_t publics = 0;
  for (const Address& address : addresses) {
    int good = -1;
    answers >> good;
    publics += good == 1;
    EXPECT_EQ(why_not_public(address).empty(), good == 1) << to_text(address);
    EXPECT_EQ(parse_address(to_text(address)), address);
  }
  EXPECT_GT(publics, addresses.size() / 4);
}

}  // namespace
}  // namespace tidemill::outbound
