#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "engine/outbound/address.h"
#include "engine/outbound/errors.h"
#include "storage/seam/executor.h"

namespace tidemill::outbound {

using Deadline = std::chrono::steady_clock::time_point;

// The two ways in which an outbound request touches the network: seams, so that tests give the answers.

class Resolver {
 public:
  virtual ~Resolver() = default;
  // All addresses of the name, of both kinds. Blocks, at most until the deadline. OutboundErrc::name_not_found (also
  // where the answer is that there are none, and where nobody answers), timed_out.
  virtual Result<std::vector<Address>> resolve(const std::string& name, Deadline deadline) = 0;
};
// By the C library: /etc/hosts and DNS as the machine is set up. getaddrinfo() knows no time limit, so it runs on
// `threads`, one for each look-up; one that hangs holds its thread, and whoever asks goes on at the deadline. At most
// 64 look-ups wait: who asks beyond that is told timed_out at once.
std::unique_ptr<Resolver> system_resolver(Executor& threads);

class Dialer {
 public:
  virtual ~Dialer() = default;
  // A connected socket, not blocking, the caller's. Blocks, at most until the deadline.
  // OutboundErrc::connection_failed, timed_out.
  virtual Result<int> dial(const Address& address, std::uint16_t port, Deadline deadline) = 0;
};
Dialer& system_dialer();

// Blocks until the socket is readable or writable, whichever is asked for. OutboundErrc::timed_out.
struct Ready {
  bool readable = false, writable = false;  // both: it is broken, and the next call says how
};
Result<Ready> wait_for(int socket, Ready wanted, Deadline deadline);

}  // namespace tidemill::outbound
