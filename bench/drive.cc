// One load generator for all peers, so that a row compares them and not their clients: one thread, one epoll, prebuilt
// requests, closed loop.
//
//   drive http|redis|nats|postgres PORT TARGET CONNECTIONS PIPELINE BATCH SECONDS [RECORD_BYTES]
//
// Each connection sends a window (PIPELINE requests of BATCH records each) in one write, waits until all of it is
// answered, and sends the next. TARGET: the path, key, subject or table. The time taken is that of a window. The first
// fifth of a second (warming up) is not counted; a run goes on until there are as many windows as connections. Prints
// one JSON object; an answer that is an error counts as such.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <vector>

#include "bench/protocols.h"

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kWindows = 64;            // prebuilt, for all connections
constexpr std::size_t kWindowBytes = 64 << 20;  // as far as they fit
constexpr std::size_t kOwnWindows = 8;          // prebuilt for each connection, where they differ
constexpr double kWarmUp = 0.2;
constexpr double kPatience = 30;

[[noreturn]] void stop(const std::string& why) {
  std::fprintf(stderr, "drive: %s\n", why.c_str());
  std::exit(1);
}

struct Connection {
  int fd = -1;
  std::vector<std::string> own;
  const std::vector<std::string>* windows = nullptr;
  std::string greeting;
  std::string_view sending;
  std::size_t next = 0;
  std::size_t awaited = 0;  // answers
  std::string in;
  std::size_t begin = 0;
  Clock::time_point sent;
  bool greeted = false;
  bool wants_out = false;
};

class Driver {
 public:
  Driver(const bench::Protocol& protocol, std::uint16_t port, std::size_t connections, double seconds);
  void run();
  std::uint64_t answers = 0;
  std::uint64_t failed = 0;
  double seconds = 0;
  std::vector<float> micros;
  std::string first_failure;

 private:
  void open(std::size_t index);
  void again(std::size_t index);
  void send_next(std::size_t index);
  void push(std::size_t index);
  void receive(std::size_t index);
  void take(std::size_t index);

  const bench::Protocol& protocol_;
  std::vector<Connection> connections_;
  std::vector<std::string> common_;
  std::vector<char> buffer_ = std::vector<char>(256 << 10);
  int epoll_ = -1;
  std::size_t greeted_ = 0;
  const std::uint16_t port_;
  bool counting_ = false;
  bool stopping_ = false;
  const double wanted_;
};

Driver::Driver(const bench::Protocol& protocol, std::uint16_t port, std::size_t connections, double wanted)
    : protocol_(protocol), connections_(connections), epoll_(::epoll_create1(0)), port_(port), wanted_(wanted) {
  std::uint64_t n = 0;
  std::size_t bytes = 0;
  while (protocol.same_for_all() && common_.size() < kWindows && (common_.empty() || bytes < kWindowBytes)) {
    common_.push_back(protocol.window(0, n += 977));
    bytes += common_.back().size();
  }
  for (std::size_t i = 0; i < connections; ++i) {
    Connection& c = connections_[i];
    c.windows = &common_;
    c.next = i;  // not all the same records at once
    if (!protocol.same_for_all()) {
      for (std::size_t w = 0; w < kOwnWindows; ++w) c.own.push_back(protocol.window(i, n += 977));
      c.windows = &c.own;
    }
    c.greeting = protocol.hello(i);
    open(i);
    c.awaited = protocol.hello_answers();
    c.greeted = c.awaited == 0;
    greeted_ += c.greeted ? 1 : 0;
    if (!c.greeting.empty()) {
      c.sending = c.greeting;
      push(i);
    }
  }
}

void Driver::open(std::size_t index) {
  Connection& c = connections_[index];
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port_);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  c.fd = ::socket(AF_INET, SOCK_STREAM, 0);
  if (::connect(c.fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) stop("cannot connect");
  const int one = 1;
  ::setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = index;
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, c.fd, &event);
}

// The peer refused a request and closed: that counts as an error, and the client goes on with a connection anew.
void Driver::again(std::size_t index) {
  Connection& c = connections_[index];
  if (!c.greeting.empty()) stop("the peer closed the connection: " + first_failure);
  ++failed;
  ::close(c.fd);
  c.in.clear();
  c.sending = {};
  c.wants_out = false;
  open(index);
  send_next(index);
}

void Driver::send_next(std::size_t index) {
  Connection& c = connections_[index];
  if (stopping_) return;
  c.sending = (*c.windows)[c.next++ % c.windows->size()];
  c.awaited = protocol_.answers();
  c.sent = Clock::now();
  push(index);
}

void Driver::push(std::size_t index) {
  Connection& c = connections_[index];
  while (!c.sending.empty()) {
    const ssize_t n = ::send(c.fd, c.sending.data(), c.sending.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EAGAIN) c.sending = {};  // closed: what it said is read next, then its end
    if (n < 0) break;
    c.sending.remove_prefix(static_cast<std::size_t>(n));
  }
  if (c.wants_out != !c.sending.empty()) {
    c.wants_out = !c.sending.empty();
    epoll_event event{};
    event.events = EPOLLIN | (c.wants_out ? static_cast<unsigned>(EPOLLOUT) : 0U);
    event.data.u64 = index;
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, c.fd, &event);
  }
}

void Driver::receive(std::size_t index) {
  Connection& c = connections_[index];
  const ssize_t n = ::recv(c.fd, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) return again(index);
  // Mostly whole answers: then nothing is copied.
  const bool whole = c.in.empty();
  if (!whole) c.in.append(buffer_.data(), static_cast<std::size_t>(n));
  std::string_view in = whole ? std::string_view(buffer_.data(), static_cast<std::size_t>(n)) : std::string_view(c.in);
  while (!in.empty()) {
    bench::Protocol::Message m;
    const std::size_t size = protocol_.message(in, m);
    if (size == 0) break;
    if (m.failed && first_failure.empty()) first_failure = in.substr(0, std::min<std::size_t>(size, 400));
    in.remove_prefix(size);
    if (m.failed) ++failed;
    if (!m.reply.empty()) (void)!::send(c.fd, m.reply.data(), m.reply.size(), MSG_NOSIGNAL);
    if (m.counts && c.awaited > 0) {
      if (counting_ && !m.failed) ++answers;
      if (--c.awaited == 0) take(index);
    }
  }
  std::string rest(in);
  c.in.swap(rest);
}

void Driver::take(std::size_t index) {
  Connection& c = connections_[index];
  if (!c.greeted) {
    c.greeted = true;
    ++greeted_;
    return;
  }
  if (counting_) {
    micros.push_back(std::chrono::duration<float, std::micro>(Clock::now() - c.sent).count());
  }
  send_next(index);
}

void Driver::run() {
  epoll_event events[256];
  bool begun = false;
  Clock::time_point begin = Clock::now();
  const auto since = [&] { return std::chrono::duration<double>(Clock::now() - begin).count(); };
  while (true) {
    if (!begun && greeted_ == connections_.size()) {
      begun = true;
      begin = Clock::now();
      for (std::size_t i = 0; i < connections_.size(); ++i) send_next(i);
    }
    const int n = ::epoll_wait(epoll_, events, 256, 100);
    if (begun && !counting_ && since() > kWarmUp) {
      counting_ = true;
      begin = Clock::now();
    }
    for (int i = 0; i < n; ++i) {
      const std::size_t index = events[i].data.u64;
      if (events[i].events & EPOLLOUT) push(index);
      if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(index);
    }
    // A peer that flushes each record alone may take longer than that for one window.
    if (counting_ && since() > wanted_ && (micros.size() + failed >= connections_.size() || since() > kPatience)) break;
    if (!counting_ && since() > kPatience) stop("no answer to the greeting: " + first_failure);
  }
  seconds = since();
  stopping_ = true;
  for (Connection& c : connections_) ::close(c.fd);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 8) {
    std::fprintf(stderr,
                 "usage: drive http|redis|nats|postgres PORT TARGET CONNECTIONS PIPELINE BATCH SECONDS "
                 "[RECORD_BYTES]\n");
    return 2;
  }
  bench::Load load;
  load.host_port = std::string("127.0.0.1:") + argv[2];
  load.target = argv[3];
  const std::size_t connections = std::strtoul(argv[4], nullptr, 10);
  load.pipeline = std::strtoul(argv[5], nullptr, 10);
  load.batch = std::strtoul(argv[6], nullptr, 10);
  if (argc > 8) load.record_bytes = std::strtoul(argv[8], nullptr, 10);
  const auto protocol = bench::protocol(argv[1], load);
  if (!protocol || connections == 0 || load.pipeline == 0 || load.batch == 0) stop("what is asked for makes no sense");
  Driver driver(*protocol, static_cast<std::uint16_t>(std::atoi(argv[2])), connections, std::atof(argv[7]));
  driver.run();
  if (driver.micros.empty() && !driver.failed) stop("nothing was answered");
  if (driver.micros.empty()) driver.micros.push_back(0);
  std::sort(driver.micros.begin(), driver.micros.end());
  const double records = static_cast<double>(driver.answers * load.pipeline * load.batch / protocol->answers());
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const double cpu = static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                     static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  std::printf(
      "{\"records_per_second\": %.1f, \"seconds\": %.3f, \"p50_us\": %.0f, \"p99_us\": %.0f, \"errors\": %llu, "
      "\"client_cpu\": %.2f}\n",
      records / driver.seconds, driver.seconds, static_cast<double>(driver.micros[driver.micros.size() / 2]),
      static_cast<double>(driver.micros[driver.micros.size() * 99 / 100]),
      static_cast<unsigned long long>(driver.failed), cpu / (driver.seconds + kWarmUp));
  if (driver.failed) std::fprintf(stderr, "drive: first error: %s\n", driver.first_failure.c_str());
  return driver.failed ? 1 : 0;
}
