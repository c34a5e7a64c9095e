#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace tidemill::cli {

// A small HTTP server inside the test: a thread for each connection, keep-alive, whatever answer the test wants.
class HttpStub {
 public:
  struct Request {
    std::string method, target, body;
    std::map<std::string, std::string> headers;  // names in lower case
    int connection = 0;                          // which one, from 1
  };
  struct Reply {
    int status = 200;
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers;
    bool drop = false;   // close without a word
    std::string raw;     // sent as it is instead of all that
    bool close = false;  // after the answer, without saying so
  };
  using Handler = std::function<Reply(const Request&)>;

  explicit HttpStub(Handler handler) : handler_(std::move(handler)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 16) != 0)
      std::abort();
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { accept(); });
  }
  ~HttpStub() {
    ending_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    ::close(listener_);
    {
      const std::lock_guard lock(mutex_);
      for (const int fd : sockets_) ::shutdown(fd, SHUT_RDWR);
    }
    for (auto& t : threads_) t.join();
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  int connections() const { return connections_; }

 private:
  void accept() {
    while (!ending_) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      const int number = ++connections_;
      const std::lock_guard lock(mutex_);
      sockets_.push_back(fd);
      threads_.emplace_back([this, fd, number] { serve(fd, number); });
    }
  }
  static bool send_all(int fd, std::string_view text) {
    while (!text.empty()) {
      const ssize_t n = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  void serve(int fd, int number) {
    std::string held;
    const auto more = [&] {
      char piece[65536];
      const ssize_t n = ::recv(fd, piece, sizeof piece, 0);
      if (n > 0) held.append(piece, static_cast<std::size_t>(n));
      return n > 0;
    };
    bool open = true;
    while (open) {
      std::size_t end;
      while ((end = held.find("\r\n\r\n")) == std::string::npos)
        if (!more()) break;
      if (end == std::string::npos) break;
      Request r;
      r.connection = number;
      const std::string head = held.substr(0, end + 2);
      held.erase(0, end + 4);
      r.method = head.substr(0, head.find(' '));
      r.target = head.substr(r.method.size() + 1, head.find(' ', r.method.size() + 1) - r.method.size() - 1);
      for (std::size_t at = head.find("\r\n") + 2; at < head.size();) {
        const std::size_t stop = head.find("\r\n", at);
        const std::size_t colon = head.find(':', at);
        std::string name = head.substr(at, colon - at);
        for (char& c : name) c = static_cast<char>(std::tolower(c));
        r.headers[name] = head.substr(colon + 2, stop - colon - 2);
        at = stop + 2;
      }
      const std::size_t length = r.headers.count("content-length") ? std::stoul(r.headers["content-length"]) : 0;
      bool whole = true;
      while (held.size() < length && (whole = more())) {
      }
      if (!whole) break;
      r.body = held.substr(0, length);
      held.erase(0, length);
      const Reply reply = handler_(r);
      if (reply.drop) break;
      std::string out = reply.raw;
      if (out.empty()) {
        out = "HTTP/1.1 " + std::to_string(reply.status) +
              " X\r\nContent-Length: " + std::to_string(reply.body.size()) + "\r\n";
        for (const auto& [n, v] : reply.headers) out += n + ": " + v + "\r\n";
        out += "\r\n" + reply.body;
      }
      open = send_all(fd, out) && !reply.close;
    }
    const std::lock_guard lock(mutex_);
    std::erase(sockets_, fd);
    ::close(fd);
  }

  Handler handler_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> ending_{false};
  std::atomic<int> connections_{0};
  std::mutex mutex_;
  std::vector<int> sockets_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace tidemill::cli
