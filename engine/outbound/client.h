#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/outbound/network.h"
#include "engine/outbound/policy.h"
#include "engine/outbound/reply.h"
#include "storage/base/logger.h"

namespace tidemill::outbound {

struct Request {
  std::string method = "POST";  // GET, HEAD, POST, PUT, PATCH or DELETE
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;  // but those of framing and connection, which are ours
  std::string body;
};

// The only way from the product to servers that somebody else has named. The name is looked up once, every address that
// comes back must be allowed, and what is connected to is one of those addresses: whoever answers for a name cannot
// change it in between. With TLS the certificate must be for the name. Redirects are answers, proxies and cookies are
// not known, and a connection carries one request.
//
// Never changes; any thread. What it is made with must outlive it.
class Client {
 public:
  // nullptr: `error` is a sentence of what is wrong with the options. Reads files: blocks.
  static std::unique_ptr<Client> make(const Options& options, Resolver& resolver, Dialer& dialer, Logger& logger,
                                      std::string& error);
  virtual ~Client() = default;
  // Blocks, at most Options::total_timeout, whatever the other side does: on a thread that may wait for the network,
  // which those of the network, of flushes and the background may not. OutboundErrc. Whether the other side has taken a
  // request that failed is not known, unless it failed before the connection was there (up to tls_failed, but
  // timed_out).
  virtual Result<Reply> request(const Request& request) = 0;
};

}  // namespace tidemill::outbound
