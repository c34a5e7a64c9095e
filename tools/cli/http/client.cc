#include "tools/cli/http/client.h"

#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

#include "api/http/tls_stream.h"

namespace tidemill::cli {
namespace {

using Kind = HttpFailure::Kind;
constexpr std::size_t kHeaderBytesMax = 256 << 10;
constexpr std::size_t kHeldBytesMax = 256 << 20;  // of an answer that is kept whole; a server makes none of a third

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return out;
}

std::string_view trim(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

template <class T>
bool number(std::string_view text, T& value, int base = 10) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return !text.empty() && error == std::errc() && end == text.data() + text.size();
}

}  // namespace

std::optional<Url> Url::parse(std::string_view text, std::string& error) {
  const auto bad = [&] {
    error = "'" + std::string(text) + "' is not a URL such as http://127.0.0.1:7077";
    return std::nullopt;
  };
  std::string_view rest = text;
  Url url;
  if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else if (rest.starts_with("https://")) {
    rest.remove_prefix(8);
    url.tls = true;
    url.port = 443;
  } else if (rest.find("://") != rest.npos) {
    return bad();
  }
  const std::size_t slash = rest.find_first_of("/?#");
  std::string_view authority = rest.substr(0, slash);
  if (slash != rest.npos) {
    url.path = rest.substr(slash);
    url.path.erase(std::min(url.path.size(), url.path.find('#')));
    if (url.path == "/") url.path.clear();
    if (!url.path.empty() && url.path[0] != '/') url.path.insert(0, "/");
  }
  if (authority.find('@') != authority.npos) return bad();  // names and passwords do not belong on a command line
  const std::size_t bracket = authority.rfind(']');
  const std::size_t colon = authority.rfind(':');
  if (colon != authority.npos && (bracket == authority.npos || colon > bracket)) {
    if (!number(authority.substr(colon + 1), url.port)) return bad();
    authority = authority.substr(0, colon);
  }
  if (authority.starts_with('[') && authority.ends_with(']')) authority = authority.substr(1, authority.size() - 2);
  if (authority.empty() || authority.find_first_of(" []") != authority.npos || text.find_first_of("\r\n ") != text.npos)
    return bad();
  url.host = authority;
  return url;
}

std::string Url::authority() const {
  const std::string name = host.find(':') == host.npos ? host : "[" + host + "]";
  return port == (tls ? 443 : 80) ? name : name + ":" + std::to_string(port);
}

std::string percent_encode(std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const unsigned char c : text) {
    if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || std::strchr("-._~", c)) {
      out += static_cast<char>(c);
    } else {
      out += '%';
      out += kHex[c >> 4];
      out += kHex[c & 15];
    }
  }
  return out;
}

std::string_view HttpResponse::header(std::string_view name) const {
  for (const auto& [n, v] : headers)
    if (n == name) return v;
  return {};
}

HttpClient::HttpClient(Url url, Options options) : url_(std::move(url)), options_(options) {}
HttpClient::~HttpClient() {
  close();
}

void HttpClient::close() {
  if (socket_ >= 0 && options_.stop && options_.stop->load()) {
    // Reset, not closed: a server that is at work on the answer sees that nobody waits for it any more.
    const linger now{1, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  if (tls_ && !(options_.stop && options_.stop->load())) tls_->close_notify();
  tls_.reset();
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
  ended_ = false;
  buffer_.clear();
}

void HttpClient::fail(HttpFailure& failure, Kind kind, const std::string& what) const {
  failure = {kind, url_.authority() + ": " + what};
}

// In slices, so that `stop` is seen.
bool HttpClient::wait(short events, std::chrono::milliseconds timeout, HttpFailure& failure) {
  const auto until = std::chrono::steady_clock::now() + timeout;
  while (true) {
    if (options_.stop && options_.stop->load()) {
      fail(failure, Kind::stopped, "stopped while waiting");
      return false;
    }
    pollfd p{socket_, events, 0};
    const int n = ::poll(&p, 1, 200);
    if (n > 0) return true;
    if (n < 0 && errno != EINTR) {
      fail(failure, Kind::lost, std::strerror(errno));
      return false;
    }
    if (std::chrono::steady_clock::now() >= until) {
      fail(failure, Kind::timed_out, "no answer within " + std::to_string(timeout.count() / 1000) + " s");
      return false;
    }
  }
}

bool HttpClient::connect(HttpFailure& failure) {
  close();
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int e = ::getaddrinfo(url_.host.c_str(), std::to_string(url_.port).c_str(), &hints, &found); e != 0) {
    fail(failure, Kind::not_connected, std::string("the name is not known (") + ::gai_strerror(e) + ")");
    return false;
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, &::freeaddrinfo);
  for (const addrinfo* a = found; a; a = a->ai_next) {
    socket_ = ::socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (socket_ < 0) continue;
    int error = ::connect(socket_, a->ai_addr, a->ai_addrlen) == 0 ? 0 : errno;
    if (error == EINPROGRESS) {
      if (!wait(POLLOUT, options_.connect_timeout, failure)) {
        if (failure.kind == Kind::timed_out) failure.kind = Kind::not_connected;
        close();
        if (failure.kind == Kind::stopped) return false;
        continue;
      }
      socklen_t size = sizeof error;
      ::getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size);
    }
    if (error == 0) {
      const int on = 1;
      ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      return !url_.tls || handshake(failure);
    }
    fail(failure, Kind::not_connected, std::string("cannot connect: ") + std::strerror(error));
    close();
  }
  if (failure.message.empty()) fail(failure, Kind::not_connected, "cannot connect");
  return false;
}

bool HttpClient::write_all(std::string_view head, std::string_view body, HttpFailure& failure) {
  if (tls_) {
    constexpr std::size_t kTogether = 16 << 10;  // a record
    if (head.size() + body.size() <= kTogether) return write_all_tls(std::string(head).append(body), failure);
    return write_all_tls(head, failure) && write_all_tls(body, failure);
  }
  while (!head.empty() || !body.empty()) {
    iovec parts[2] = {{const_cast<char*>(head.data()), head.size()}, {const_cast<char*>(body.data()), body.size()}};
    msghdr message{};
    message.msg_iov = head.empty() ? parts + 1 : parts;
    message.msg_iovlen = head.empty() || body.empty() ? 1 : 2;
    const ssize_t n = ::sendmsg(socket_, &message, MSG_NOSIGNAL);
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) {
        if (!wait(POLLOUT, options_.answer_timeout, failure)) return false;
        continue;
      }
      fail(failure, Kind::lost, std::string("the connection broke while sending: ") + std::strerror(errno));
      return false;
    }
    const std::size_t of_head = std::min(head.size(), static_cast<std::size_t>(n));
    head.remove_prefix(of_head);
    body.remove_prefix(static_cast<std::size_t>(n) - of_head);
  }
  return true;
}

bool HttpClient::fill(HttpFailure& failure) {
  if (tls_) return fill_tls(failure);
  while (true) {
    char piece[64 << 10];
    const ssize_t n = ::recv(socket_, piece, sizeof piece, 0);
    if (n > 0) {
      buffer_.append(piece, static_cast<std::size_t>(n));
      return true;
    }
    if (n == 0) {
      ended_ = true;
      fail(failure, Kind::lost, "the server closed the connection");
      return false;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) {
      fail(failure, Kind::lost, std::string("the connection broke: ") + std::strerror(errno));
      return false;
    }
    if (!wait(POLLIN, options_.answer_timeout, failure)) return false;
  }
}

std::optional<HttpResponse> HttpClient::send(const HttpRequest& request, HttpFailure& failure) {
  return exchange(request, nullptr, failure);
}

std::optional<HttpResponse> HttpClient::stream(const HttpRequest& request,
                                               const std::function<bool(std::string_view)>& piece,
                                               HttpFailure& failure) {
  return exchange(request, &piece, failure);
}

std::optional<HttpResponse> HttpClient::exchange(const HttpRequest& request,
                                                 const std::function<bool(std::string_view)>* piece,
                                                 HttpFailure& failure) {
  failure = {};
  std::string head = request.method + " " + request.target + " HTTP/1.1\r\nHost: " + url_.authority() + "\r\n";
  for (const auto& [n, v] : request.headers) head += n + ": " + v + "\r\n";
  if (!request.body.empty() || request.method != "GET")
    head += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
  head += "\r\n";

  if (socket_ >= 0) {  // kept alive: the server may have closed it since; then nothing is lost by connecting anew
    pollfd p{socket_, POLLIN, 0};
    if (!buffer_.empty() || ::poll(&p, 1, 0) != 0) close();
  }
  if (socket_ < 0 && !connect(failure)) return std::nullopt;
  if (!write_all(head, request.body, failure)) {
    // A server that refuses a body answers before it has read it all and closes: take that answer.
    if (failure.kind != Kind::lost || !fill(failure)) {
      close();
      return std::nullopt;
    }
  }

  HttpResponse response;
  while (true) {  // 100 Continue and its like come before the answer
    std::size_t end;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
      if (buffer_.size() > kHeaderBytesMax) {
        fail(failure, Kind::broken, "the answer's header has no end");
      } else if (fill(failure)) {
        continue;
      }
      close();
      return std::nullopt;
    }
    std::string_view lines(buffer_.data(), end + 2);
    const std::string_view status = lines.substr(0, lines.find("\r\n"));
    if (!status.starts_with("HTTP/1.") || status.size() < 12 || !number(status.substr(9, 3), response.status)) {
      fail(failure, Kind::broken, "what answers there does not speak HTTP");
      close();
      return std::nullopt;
    }
    response.headers.clear();
    lines.remove_prefix(status.size() + 2);
    while (!lines.empty()) {
      const std::string_view line = lines.substr(0, lines.find("\r\n"));
      lines.remove_prefix(line.size() + 2);
      const std::size_t colon = line.find(':');
      if (colon != line.npos)
        response.headers.emplace_back(lower(line.substr(0, colon)), std::string(trim(line.substr(colon + 1))));
    }
    buffer_.erase(0, end + 4);
    if (response.status >= 200) break;
  }

  const bool stream = piece && response.status / 100 == 2;
  stop_body_ = false;
  const auto take = [&](std::string_view bytes) {
    if (stream) return (*piece)(bytes);
    if (bytes.size() > kHeldBytesMax - response.body.size()) {
      fail(failure, Kind::broken, "the answer is longer than 256 MiB, which no answer of Tidemill is: is it one?");
      return false;
    }
    response.body.append(bytes);
    return true;
  };
  const bool no_body = request.method == "HEAD" || response.status == 204 || response.status == 304;
  if (!no_body && !read_body(response, take, failure)) {
    close();
    if (stop_body_ && stream) return response;
    return std::nullopt;
  }
  if (lower(response.header("connection")).find("close") != std::string::npos || ended_) close();
  return response;
}

bool HttpClient::read_body(HttpResponse& response, const std::function<bool(std::string_view)>& take,
                           HttpFailure& failure) {
  const auto give = [&](std::size_t n) {
    stop_body_ = n != 0 && !take(std::string_view(buffer_).substr(0, n));
    buffer_.erase(0, n);
    return !stop_body_;
  };
  const auto give_exactly = [&](std::uint64_t left) {
    while (left > 0) {
      if (buffer_.empty() && !fill(failure)) return false;
      const std::size_t n = static_cast<std::size_t>(std::min<std::uint64_t>(left, buffer_.size()));
      left -= n;
      if (!give(n)) return false;
    }
    return true;
  };
  const auto line = [&](std::string& into) {
    std::size_t end;
    while ((end = buffer_.find("\r\n")) == std::string::npos)
      if (buffer_.size() > kHeaderBytesMax || !fill(failure)) return false;
    into = buffer_.substr(0, end);
    buffer_.erase(0, end + 2);
    return true;
  };
  if (lower(response.header("transfer-encoding")).find("chunked") != std::string::npos) {
    std::string text;
    while (true) {
      if (!line(text)) return false;
      std::uint64_t size = 0;
      if (!number(trim(std::string_view(text).substr(0, text.find(';'))), size, 16)) {
        fail(failure, Kind::broken, "the answer's chunks are broken");
        return false;
      }
      if (size == 0) break;
      if (!give_exactly(size) || !line(text)) return false;
    }
    do {  // trailers
      if (!line(text)) return false;
    } while (!text.empty());
    return true;
  }
  if (const std::string_view length = response.header("content-length"); !length.empty()) {
    std::uint64_t size = 0;
    if (!number(length, size)) {
      fail(failure, Kind::broken, "the answer's length is broken");
      return false;
    }
    return give_exactly(size);
  }
  while (give(buffer_.size())) {  // to the end of the connection
    if (fill(failure)) continue;
    if (ended_) failure = {};
    return ended_;
  }
  return false;
}

}  // namespace tidemill::cli
