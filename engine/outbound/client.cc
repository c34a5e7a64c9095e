#include "engine/outbound/client.h"

#include <algorithm>

#include "engine/outbound/channel.h"

namespace tidemill::outbound {
namespace {

constexpr std::size_t kHeaderBytesMax = 16 << 10;

bool iequals(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

// What frames the request or is of the connection is nobody else's to say; what is encoded nobody here decodes.
bool is_ours(std::string_view name) {
  for (const std::string_view ours :
       {"Host", "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Upgrade", "TE", "Trailer", "Expect",
        "Accept-Encoding", "Proxy-Authorization", "Proxy-Connection"})
    if (iequals(name, ours)) return true;
  return false;
}

bool is_value(std::string_view value) {
  return std::all_of(value.begin(), value.end(), [](unsigned char c) { return c == '\t' || (c >= 0x20 && c != 0x7f); });
}

// The head of the request; empty: it cannot be sent.
std::string head_of(const Request& request, const Destination& to) {
  static constexpr std::string_view kMethods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};
  if (std::find(std::begin(kMethods), std::end(kMethods), request.method) == std::end(kMethods)) return {};
  std::string head = request.method + " " + to.target + " HTTP/1.1\r\nHost: " + to.authority() +
                     "\r\nConnection: close\r\nAccept-Encoding: identity\r\n";
  for (const auto& [name, value] : request.headers) {
    if (!is_token(name) || !is_value(value) || is_ours(name)) return {};
    head.append(name).append(": ").append(value).append("\r\n");
  }
  if (head.size() > kHeaderBytesMax) return {};
  if (!request.body.empty() || (request.method != "GET" && request.method != "HEAD"))
    head += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
  return head + "\r\n";
}

class ClientImpl final : public Client {
 public:
  ClientImpl(const Options& options, Policy policy, std::shared_ptr<const Trust> trust, Resolver& resolver,
             Dialer& dialer, Logger& logger)
      : options_(options),
        policy_(std::move(policy)),
        trust_(std::move(trust)),
        resolver_(resolver),
        dialer_(dialer),
        logger_(logger) {}

  Result<Reply> request(const Request& request) override {
    const Deadline deadline = std::chrono::steady_clock::now() + options_.total_timeout;
    ASSIGN_OR_RETURN(const Destination to, policy_.destination(request.url));
    const std::string head = head_of(request, to);
    if (head.empty() || request.body.size() > options_.request_bytes_max) return OutboundErrc::request_invalid;
    ASSIGN_OR_RETURN(const std::vector<Address> addresses, checked_addresses(to, deadline));
    ASSIGN_OR_RETURN(const std::unique_ptr<Channel> channel, connect(to, addresses, deadline));
    return exchange(*channel, head, request, deadline);
  }

 private:
  Deadline within(std::chrono::milliseconds time, Deadline deadline) const {
    return std::min(deadline, Deadline(std::chrono::steady_clock::now() + time));
  }

  // The one look-up. One address that is refused refuses the name: which of several is connected to is not to be the
  // choice of whoever answers for it.
  Result<std::vector<Address>> checked_addresses(const Destination& to, Deadline deadline) {
    std::vector<Address> addresses;
    if (to.literal) {
      addresses.push_back(*to.literal);
    } else {
      ASSIGN_OR_RETURN(addresses, resolver_.resolve(to.host, within(options_.resolve_timeout, deadline)));
    }
    if (addresses.empty()) return OutboundErrc::name_not_found;
    for (const Address& address : addresses) {
      const std::string_view why = policy_.refusal(to, address);
      if (why.empty()) continue;
      logger_.warning("an outbound request was refused: its host is not on the public Internet",
                      {{"host", to.host}, {"address", to_text(address)}, {"because", std::string(why)}});
      return OutboundErrc::address_refused;
    }
    return addresses;
  }

  Result<std::unique_ptr<Channel>> connect(const Destination& to, const std::vector<Address>& addresses,
                                           Deadline deadline) {
    const Deadline connected_by = within(options_.connect_timeout, deadline);
    ErrorCode error = OutboundErrc::connection_failed;
    for (std::size_t i = 0; i < addresses.size(); ++i) {
      const Result<int> socket = dialer_.dial(addresses[i], to.port, share_of(connected_by, addresses.size() - i));
      if (socket) {
        if (!to.tls) return Channel::plain(*socket, deadline);
        return Channel::secure(*socket, deadline, *trust_, to.host, to.literal.has_value());
      }
      error = socket.error();
      if (std::chrono::steady_clock::now() >= connected_by) return OutboundErrc::timed_out;
    }
    return error;
  }
  // One address that does not answer must not use up the time of the others: each gets an equal part of what is left,
  // but as much as a first packet needs that was lost once, as long as there is so much. The last then get less.
  static Deadline share_of(Deadline end, std::size_t addresses) {
    constexpr std::chrono::milliseconds kLeast{2'000};
    const auto now = std::chrono::steady_clock::now();
    if (end <= now) return end;
    return now + std::min<std::chrono::nanoseconds>(
                     end - now, std::max<std::chrono::nanoseconds>((end - now) / addresses, kLeast));
  }

  Result<Reply> exchange(Channel& channel, const std::string& head, const Request& request, Deadline deadline) {
    ReplyReader reader(options_.head_bytes_max, options_.body_bytes_max, request.method == "HEAD");
    // Who refuses a request early may reply before it has read all of it, and then go, or read no more: the reply
    // counts.
    const auto early = [&](std::string_view bytes) { return reader.feed(bytes); };
    for (const std::string_view part : {std::string_view(head), std::string_view(request.body)}) {
      const Result<bool> all = channel.write(part, early);
      if (all && !*all) return reader.take();
      if (!all && all.error() != OutboundErrc::cut_off) return all.error();
      if (!all) break;
    }
    for (char part[16 << 10];;) {
      if (std::chrono::steady_clock::now() >= deadline) return OutboundErrc::timed_out;
      ASSIGN_OR_RETURN(const std::size_t n, channel.read(part, sizeof part));
      if (n == 0) {
        RETURN_IF_ERROR(reader.end());
        return reader.take();
      }
      ASSIGN_OR_RETURN(const bool whole, reader.feed({part, n}));
      if (whole) return reader.take();
    }
  }

  const Options options_;
  const Policy policy_;
  const std::shared_ptr<const Trust> trust_;
  Resolver& resolver_;
  Dialer& dialer_;
  Logger& logger_;
};

}  // namespace

std::unique_ptr<Client> Client::make(const Options& options, Resolver& resolver, Dialer& dialer, Logger& logger,
                                     std::string& error) {
  auto policy = Policy::make(options, error);
  if (!policy) return nullptr;
  auto trust = Trust::make(options.ca_file, error);
  if (!trust) return nullptr;
  return std::make_unique<ClientImpl>(options, std::move(*policy), std::move(trust), resolver, dialer, logger);
}

}  // namespace tidemill::outbound
