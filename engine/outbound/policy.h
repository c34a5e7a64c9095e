#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/outbound/address.h"
#include "engine/outbound/errors.h"

namespace tidemill::outbound {

struct Options {
  std::vector<std::string> schemes{"https"};  // `http`, too, where the operator wants that
  std::vector<std::uint16_t> ports{443};
  // What the operator allows besides: a network (10.1.0.0/16), whose addresses count as public; or one host and port
  // (hooks.example:8443, 10.1.2.3:443, [fd00::1]:443; with http:// before it without TLS), wherever its name leads.
  std::vector<std::string> exceptions;
  std::string ca_file;  // PEM; whom to believe instead of the system's authorities
  std::chrono::milliseconds resolve_timeout{3'000};
  std::chrono::milliseconds connect_timeout{5'000};  // to all addresses, together
  std::chrono::milliseconds total_timeout{10'000};   // from the call to the whole reply
  std::size_t request_bytes_max = 16 << 20;          // of the body
  std::size_t head_bytes_max = 16 << 10;             // of the reply; of a chunk's and the trailers, too
  std::size_t body_bytes_max = 1 << 20;              // of the reply
};

// Where a request goes.
struct Destination {
  bool tls = true;
  std::string host;  // lower case; of an address as inet_ntop writes it, without brackets
  std::uint16_t port = 443;
  std::string target;  // path and query, encoded
  std::optional<Address> literal;
  bool excepted = false;  // host and port are named by an exception

  std::string authority() const;  // for Host: with the port where it is not the scheme's own
};

// What may be asked for. Never changes. Any thread.
class Policy {
 public:
  // nullopt: `error` is a sentence of what is wrong with the options.
  static std::optional<Policy> make(const Options& options, std::string& error);

  // Reads the URL strictly: what two programs could read in two ways is refused. OutboundErrc::url_invalid,
  // scheme_not_allowed, port_not_allowed.
  Result<Destination> destination(std::string_view url) const;
  // Empty: it may be connected to. Else why not.
  std::string_view refusal(const Destination& destination, const Address& address) const;

 private:
  struct Exception {
    std::optional<Network> network;
    bool tls = true;
    std::string host;
    std::uint16_t port = 0;
  };
  std::vector<std::string> schemes_;
  std::vector<std::uint16_t> ports_;
  std::vector<Exception> exceptions_;
};

}  // namespace tidemill::outbound
