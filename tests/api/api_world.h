#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "api/server.h"
#include "tests/support/fake_usage_log.h"
#include "tests/support/real_env.h"

namespace tidemill {

struct ClientAnswer {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
  bool closed = false;  // the connection ended instead of an answer
  nlohmann::json json() const { return nlohmann::json::parse(body, nullptr, false); }
  std::string code() const { return json().value("code", ""); }
};

// A client that sends exactly what it is told, byte for byte, and reads answers one at a time.
class RawClient {
 public:
  // `receive_bytes`: of the kernel's buffer, for a client that is to fall behind.
  explicit RawClient(std::uint16_t port, int receive_bytes = 0) {
    fd_ = ::socket(AF_INET, SOCK_STREAM, 0);
    if (receive_bytes) ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) ADD_FAILURE() << "connect";
    const int one = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    timeval limit{20, 0};  // so that a test that waits for nothing fails
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  ~RawClient() { ::close(fd_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  void end() { ::shutdown(fd_, SHUT_WR); }
  // Breaks off: the other side is reset when this goes.
  void reset() {
    const linger now{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }

  // More bytes into what has come; false at the end.
  bool more() {
    char part[65536];
    const ssize_t n = ::recv(fd_, part, sizeof part, 0);
    if (n <= 0) return false;
    in_.append(part, static_cast<std::size_t>(n));
    return true;
  }
  std::string& unread() { return in_; }
  std::string until(std::string_view mark) {
    std::size_t at;
    while ((at = in_.find(mark)) == std::string::npos) {
      if (!more()) return {};
    }
    std::string text = in_.substr(0, at + mark.size());
    in_.erase(0, at + mark.size());
    return text;
  }

  ClientAnswer answer(bool head = false) {
    ClientAnswer a;
    std::string text = until("\r\n\r\n");
    if (text.empty()) {
      a.closed = true;
      return a;
    }
    a.status = std::stoi(text.substr(9, 3));
    std::size_t at = text.find("\r\n") + 2;
    while (at < text.size() - 2) {
      const std::size_t end = text.find("\r\n", at);
      const std::size_t colon = text.find(':', at);
      std::string name = text.substr(at, colon - at);
      for (char& c : name) c = static_cast<char>(std::tolower(c));
      a.headers[name] = text.substr(colon + 2, end - colon - 2);
      at = end + 2;
    }
    if (head || a.status == 100 || a.status == 204) return a;
    if (a.headers.count("transfer-encoding")) return a;  // the test reads on by itself
    const std::size_t length = std::stoul(a.headers["content-length"]);
    while (in_.size() < length) {
      if (!more()) {
        a.closed = true;
        return a;
      }
    }
    a.body = in_.substr(0, length);
    in_.erase(0, length);
    return a;
  }

 private:
  int fd_;
  std::string in_;
};

// A server over a real engine in a temporary directory, with the stream `retail`.
class ApiWorld {
 public:
  explicit ApiWorld(ApiOptions options = {}, Logger& logger = null_logger(), bool with_views = false,
                    const LogOptions& log = {}, const Instead& instead = {},
                    std::chrono::milliseconds history_every = {}, std::uint64_t changes_per_hour = 0)
      : real(logger, instead) {
    engine = std::move(*Engine::open(real.env, {.data = real.directory.path(), .log = log, .control = &control_env}));
    StreamDefinition d;
    d.name = "retail";
    d.partition_key = "InvoiceNo";
    d.fields = {{"Quantity", FieldType::integer}, {"UnitPrice", FieldType::number}};
    stream = *engine->create(d, 4);
    if (with_views) {
      views::AllViews::Options of_views{.directory = engine->directory().views()};
      of_views.history_every = history_every;
      all_views = std::move(*views::AllViews::open(real.env, *engine, of_views));
      views = all_views->of(kDefaultTenant);
      for (const char* name : {"customers", "invoices"}) {
        EXPECT_TRUE(std::holds_alternative<views::ViewInfo>(views->create(name, std::string("builtin:") + name)));
      }
    }
    if (with_views) derived = derived::DerivedStreams::open(real.env, *engine, all_views.get());
    options.derived = derived.get();
    keys = std::move(*Keys::open(engine->control(), engine->system(), {real.directory.path(), system_private_files()}));
    options.keys = keys.get();
    usage = std::move(UsageLog::open(real.env, *engine)).value();
    options.usage = usage.get();
    const auto disk_bytes = [this](const std::string& tenant) {
      std::uint64_t bytes = 0;
      for (const auto& one : engine->list(tenant)) bytes += one->log().status().bytes;
      return bytes;
    };
    limiter = *Limiter::open(real.env, engine->system(), {usage_writer, &counted, disk_bytes, changes_per_hour});
    options.limiter = limiter.get();
    audit = AuditTrail::open(engine->control(), *engine, {});
    options.audit = audit.get();
    options.port = 0;
    options.management = &management;
    options.changes = &changes;
    options.flush_time = FlushTime{64, std::chrono::microseconds(150), std::chrono::microseconds(900)};
    if (options.threads == 0) options.threads = 2;
    server = std::move(*ApiServer::start(real.env, *engine, all_views.get(), workers, options));
  }
  ~ApiWorld() {
    server->stop();
    limiter->close();
    audit->close();
    EXPECT_TRUE(keys->close());
    EXPECT_TRUE(engine->close());
    if (all_views) {
      EXPECT_TRUE(all_views->close());
    }
    server.reset();
    workers.stop();
    management.stop();
    changes.stop();
    usage_writer.stop();
  }

  static std::string request(std::string_view method, std::string_view path, std::string_view body = {},
                             std::string_view headers = {}) {
    std::string text;
    text.append(method).append(" ").append(path).append(" HTTP/1.1\r\nHost: a\r\n").append(headers);
    if (!body.empty() || method == "POST" || method == "PUT") {
      text.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n");
    }
    return text.append("\r\n").append(body);
  }
  static std::string post(std::string_view body, std::string_view headers = "Content-Type: application/json\r\n",
                          std::string_view query = {}) {
    return request("POST", std::string("/v1/streams/retail/records") + std::string(query), body, headers);
  }
  ClientAnswer ask(std::string_view text) {
    RawClient client(server->port());
    client.send(text);
    return client.answer(text.starts_with("HEAD"));
  }
  ClientAnswer get(std::string_view path, std::string_view headers = {}) {
    return ask(request("GET", path, {}, headers));
  }

  RealEnv real;
  ThreadExecutor control{"control", 2};
  Env control_env{real.env.files, real.env.clock, real.env.random, real.env.flush, control, real.env.logger};
  ThreadExecutor workers{"worker", 4};
  ThreadExecutor management{"management", 2};
  ThreadExecutor changes{"change", 1};
  std::unique_ptr<Engine> engine;
  std::shared_ptr<Stream> stream;
  std::unique_ptr<views::AllViews> all_views;
  std::shared_ptr<views::Views> views;  // of the default tenant
  std::unique_ptr<derived::DerivedStreams> derived;
  std::unique_ptr<Keys> keys;
  std::unique_ptr<UsageLog> usage;
  FakeUsageLog counted;  // by the limiter: no stream beside those that a test makes
  ThreadExecutor usage_writer{"usage", 1};
  std::unique_ptr<Limiter> limiter;
  std::unique_ptr<AuditTrail> audit;
  std::unique_ptr<ApiServer> server;
};

inline constexpr std::string_view kGood = R"({"InvoiceNo":"1","Quantity":1,"UnitPrice":0.5})";
inline constexpr std::string_view kJsonHeader = "Content-Type: application/json\r\n";
inline constexpr std::string_view kNdjsonHeader = "Content-Type: application/x-ndjson\r\n";

}  // namespace tidemill
