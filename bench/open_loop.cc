// HTTP requests at a fixed rate, whatever the answers take: latency counts from when a request was due, not from when
// there was a free connection for it (no coordinated omission).
//
//   open_loop PORT RATE CONNECTIONS SECONDS FILE [KEYS]
//
// FILE: a line for each request, `METHOD PATH [BODY]`, in turn, over and over. KEYS: a key on each line, sent with the
// requests, in turn likewise. One thread; a connection has one request
// at a time. The first half second is not counted. Prints one JSON object; anything but 200 counts as an error.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
constexpr double kWarmUp = 0.5;
constexpr double kPatience = 10;  // for what is still under way at the end

[[noreturn]] void stop(const std::string& why) {
  std::fprintf(stderr, "open_loop: %s\n", why.c_str());
  std::exit(1);
}

std::vector<std::string> lines_of(const char* file) {
  std::ifstream in(file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(std::move(line));
  if (lines.empty()) stop(std::string("nothing in ") + file);
  return lines;
}

std::vector<std::string> requests_of(const char* file, const std::vector<std::string>& keys) {
  const std::vector<std::string> lines = lines_of(file);
  std::vector<std::string> requests;
  for (std::size_t n = 0; n < std::max(lines.size(), keys.size()); ++n) {
    const std::string& line = lines[n % lines.size()];
    const std::size_t first = line.find(' ');
    if (first == std::string::npos) continue;
    const std::size_t second = line.find(' ', first + 1);
    const std::string body = second == std::string::npos ? "" : line.substr(second + 1);
    std::string request = line.substr(0, second) + " HTTP/1.1\r\nHost: localhost\r\n";
    if (!keys.empty()) request += "X-Api-Key: " + keys[n % keys.size()] + "\r\n";
    if (!body.empty())
      request += "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
    requests.push_back(request + "\r\n" + body);
  }
  if (requests.empty()) stop(std::string("no requests in ") + file);
  return requests;
}

struct Connection {
  int fd = -1;
  std::string in;
  Clock::time_point due;
  bool counts = false;
};

// Length of the whole answer at the front of `in`; 0: not all of it has come.
std::size_t answer_size(std::string_view in) {
  const std::size_t head = in.find("\r\n\r\n");
  if (head == std::string_view::npos) return 0;
  constexpr std::string_view kLength = "\r\nContent-Length: ";
  const std::size_t length = in.substr(0, head + 2).find(kLength);
  if (length == std::string_view::npos) stop("an answer without Content-Length: " + std::string(in.substr(0, 200)));
  const std::size_t size = head + 4 + std::strtoul(in.data() + length + kLength.size(), nullptr, 10);
  return in.size() < size ? 0 : size;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6 && argc != 7) {
    std::fprintf(stderr, "usage: open_loop PORT RATE CONNECTIONS SECONDS FILE [KEYS]\n");
    return 2;
  }
  const double rate = std::atof(argv[2]);
  const double seconds = std::atof(argv[4]);
  const std::vector<std::string> requests =
      requests_of(argv[5], argc == 7 ? lines_of(argv[6]) : std::vector<std::string>());
  std::vector<Connection> connections(std::strtoul(argv[3], nullptr, 10));
  if (rate <= 0 || seconds <= 0 || connections.empty()) stop("what is asked for makes no sense");

  const int epoll = ::epoll_create1(0);
  const int timer = ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  constexpr std::uint64_t kTimer = ~0ull;
  const auto watch = [&](int fd, std::uint64_t what) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = what;
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
  };
  watch(timer, kTimer);
  std::vector<std::size_t> idle;
  for (std::size_t i = 0; i < connections.size(); ++i) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(argv[1])));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connections[i].fd = ::socket(AF_INET, SOCK_STREAM, 0);
    if (::connect(connections[i].fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      stop("cannot connect");
    const int one = 1;
    ::setsockopt(connections[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    watch(connections[i].fd, i);
    idle.push_back(i);
  }

  const auto every = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(1 / rate));
  const auto counted_from =
      Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(kWarmUp));
  const auto end = counted_from + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  const auto patience = end + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(kPatience));
  Clock::time_point due = Clock::now();
  std::deque<Clock::time_point> waiting;
  std::size_t next = 0, under_way = 0, failed = 0;
  std::vector<float> micros;
  std::string first_failure;
  std::vector<char> buffer(256 << 10);
  epoll_event events[256];
  for (;;) {
    auto now = Clock::now();
    for (; due <= now && due < end; due += every) waiting.push_back(due);
    while (!waiting.empty() && !idle.empty()) {
      Connection& c = connections[idle.back()];
      idle.pop_back();
      c.due = waiting.front();
      c.counts = c.due >= counted_from;
      waiting.pop_front();
      const std::string& request = requests[next++ % requests.size()];
      if (::send(c.fd, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
        stop("cannot send");
      ++under_way;
    }
    if (due >= end && waiting.empty() && under_way == 0) break;
    if (now > patience) stop("no answer within " + std::to_string(kPatience) + " s");
    if (due < end) {
      itimerspec at{};
      const auto wait =
          std::max<std::int64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(due - Clock::now()).count(), 1);
      at.it_value.tv_sec = wait / 1'000'000'000;
      at.it_value.tv_nsec = wait % 1'000'000'000;
      ::timerfd_settime(timer, 0, &at, nullptr);
    }
    const int n = ::epoll_wait(epoll, events, 256, 100);
    for (int i = 0; i < n; ++i) {
      if (events[i].data.u64 == kTimer) {
        std::uint64_t ignored = 0;
        (void)!::read(timer, &ignored, sizeof ignored);
        continue;
      }
      Connection& c = connections[events[i].data.u64];
      const ssize_t got = ::recv(c.fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (got < 0 && errno == EAGAIN) continue;
      if (got <= 0) stop("the server closed a connection; first error: " + first_failure);
      c.in.append(buffer.data(), static_cast<std::size_t>(got));
      const std::size_t size = answer_size(c.in);
      if (size == 0) continue;
      if (!c.in.starts_with("HTTP/1.1 200")) {
        if (first_failure.empty()) first_failure = c.in.substr(0, 400);
        ++failed;
      } else if (c.counts) {
        micros.push_back(std::chrono::duration<float, std::micro>(Clock::now() - c.due).count());
      }
      c.in.erase(0, size);
      --under_way;
      idle.push_back(events[i].data.u64);
    }
  }
  if (micros.empty()) stop("nothing was answered with 200; first error: " + first_failure);
  std::sort(micros.begin(), micros.end());
  const auto at = [&](double part) {
    return static_cast<double>(micros[static_cast<std::size_t>(static_cast<double>(micros.size() - 1) * part)]);
  };
  std::printf(
      "{\"requests_per_second\": %.0f, \"p50_us\": %.0f, \"p99_us\": %.0f, \"p999_us\": %.0f, \"max_us\": %.0f, "
      "\"errors\": %zu}\n",
      static_cast<double>(micros.size()) / seconds, at(0.5), at(0.99), at(0.999), at(1), failed);
  if (failed != 0) std::fprintf(stderr, "open_loop: first error: %s\n", first_failure.c_str());
  return failed == 0 ? 0 : 1;
}
