#include "engine/outbound/network.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>

namespace tidemill::outbound {
namespace {

constexpr int kLookUpsMax = 64;

Result<std::vector<Address>> look_up(const std::string& name) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(name.c_str(), nullptr, &hints, &found) != 0) return OutboundErrc::name_not_found;
  std::vector<Address> addresses;
  for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
    Address address;
    if (a->ai_family == AF_INET) {
      std::memcpy(address.bytes.data(), &reinterpret_cast<const sockaddr_in*>(a->ai_addr)->sin_addr, 4);
    } else if (a->ai_family == AF_INET6) {
      address.v6 = true;
      std::memcpy(address.bytes.data(), &reinterpret_cast<const sockaddr_in6*>(a->ai_addr)->sin6_addr, 16);
    } else {
      continue;
    }
    if (std::find(addresses.begin(), addresses.end(), address) == addresses.end()) addresses.push_back(address);
  }
  ::freeaddrinfo(found);
  if (addresses.empty()) return OutboundErrc::name_not_found;
  return addresses;
}

class SystemResolver final : public Resolver {
 public:
  explicit SystemResolver(Executor& threads) : threads_(threads) {}

  Result<std::vector<Address>> resolve(const std::string& name, Deadline deadline) override {
    struct LookUp {
      std::mutex mutex;
      std::condition_variable done;
      std::optional<Result<std::vector<Address>>> answer;
    };
    if (pending_->fetch_add(1) >= kLookUpsMax) {
      --*pending_;
      return OutboundErrc::timed_out;
    }
    const auto one = std::make_shared<LookUp>();
    threads_.post([one, name, pending = pending_] {
      auto answer = look_up(name);
      --*pending;
      const std::lock_guard lock(one->mutex);
      one->answer = std::move(answer);
      one->done.notify_one();
    });
    std::unique_lock lock(one->mutex);
    if (!one->done.wait_until(lock, deadline, [&] { return one->answer.has_value(); })) return OutboundErrc::timed_out;
    return std::move(*one->answer);
  }

 private:
  Executor& threads_;
  const std::shared_ptr<std::atomic<int>> pending_ = std::make_shared<std::atomic<int>>(0);
};

class SystemDialer final : public Dialer {
 public:
  Result<int> dial(const Address& address, std::uint16_t port, Deadline deadline) override {
    sockaddr_storage to{};
    socklen_t size = sizeof(sockaddr_in);
    if (address.v6) {
      auto& in6 = reinterpret_cast<sockaddr_in6&>(to);
      in6.sin6_family = AF_INET6;
      in6.sin6_port = htons(port);
      std::memcpy(&in6.sin6_addr, address.bytes.data(), 16);
      size = sizeof in6;
    } else {
      auto& in = reinterpret_cast<sockaddr_in&>(to);
      in.sin_family = AF_INET;
      in.sin_port = htons(port);
      std::memcpy(&in.sin_addr, address.bytes.data(), 4);
    }
    const int fd = ::socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return OutboundErrc::connection_failed;
    const int one = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&to), size) == 0) return fd;
    ErrorCode error = OutboundErrc::connection_failed;
    if (errno == EINPROGRESS) {
      if (const auto waited = wait_for(fd, {.writable = true}, deadline); !waited) {
        error = waited.error();
      } else {
        int failed = 0;
        socklen_t length = sizeof failed;
        if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &length) == 0 && failed == 0) return fd;
      }
    }
    ::close(fd);
    return error;
  }
};

}  // namespace

Result<Ready> wait_for(int socket, Ready wanted, Deadline deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return OutboundErrc::timed_out;
    const int events = (wanted.writable ? POLLOUT : 0) | (wanted.readable ? POLLIN : 0);
    pollfd one{socket, static_cast<short>(events), 0};
    const int ready = ::poll(&one, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 60'000)));
    if (ready > 0) {
      const bool broken = (one.revents & ~(POLLIN | POLLOUT)) != 0;
      return Ready{broken || (one.revents & POLLIN) != 0, broken || (one.revents & POLLOUT) != 0};
    }
    if (ready < 0 && errno != EINTR) return OutboundErrc::connection_failed;
  }
}

std::unique_ptr<Resolver> system_resolver(Executor& threads) {
  return std::make_unique<SystemResolver>(threads);
}

Dialer& system_dialer() {
  static SystemDialer dialer;
  return dialer;
}

}  // namespace tidemill::outbound
