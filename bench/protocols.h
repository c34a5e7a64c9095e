#pragma once

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>

// What bench/drive says to each peer, and how it counts the answers. A *window* is what one client sends in one write
// and waits for in full before it sends the next: one record, or several requests, or a batch.
namespace bench {

// Words in an order drawn from n: compresses like text, not like a run of one letter.
inline std::string note(std::uint64_t n, std::size_t bytes) {
  static constexpr std::string_view kWords[] = {
      "please ", "leave ",    "parcel ",    "behind ",  "the ",      "green ", "door ",   "ring ",
      "twice ",  "fragile ",  "gift ",      "wrap ",    "birthday ", "call ",  "before ", "delivery ",
      "after ",  "noon ",     "neighbour ", "no ",      "invoice ",  "in ",    "box ",    "return ",
      "label ",  "enclosed ", "blue ",      "lantern ", "missing ",  "from ",  "last ",   "order "};
  std::string out;
  std::uint64_t state = n * 0x9E3779B97F4A7C15u + 1;
  while (out.size() < bytes) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    out.append(kWords[state % std::size(kWords)]);
  }
  out.resize(bytes);
  return out;
}

// A record of the retail kind with exactly `bytes` bytes (at least 230). Keys vary with n.
inline std::string record(std::uint64_t n, std::size_t bytes) {
  char text[256];
  const int size = std::snprintf(
      text, sizeof text,
      R"({"InvoiceNo":"%u","StockCode":"%05u","Description":"WHITE HANGING HEART T-LIGHT HOLDER","Quantity":%u,)"
      R"("InvoiceDate":"12/1/2010 8:%02u","UnitPrice":%u.25,"CustomerID":"%u","Country":"United Kingdom")",
      static_cast<unsigned>(536365 + n % 5000), static_cast<unsigned>(n % 4000), static_cast<unsigned>(1 + n % 12),
      static_cast<unsigned>(n % 60), static_cast<unsigned>(n % 20), static_cast<unsigned>(12346 + n % 4372));
  std::string out(text, static_cast<std::size_t>(size));
  out.append(",\"Note\":\"");
  out.append(note(n, out.size() + 2 < bytes ? bytes - out.size() - 2 : 0));
  return out.append("\"}");
}

struct Load {
  std::string host_port;
  std::string target;  // path, key, subject or table
  std::size_t pipeline = 1;
  std::size_t batch = 1;
  std::size_t record_bytes = 250;
};

class Protocol {
 public:
  virtual ~Protocol() = default;
  // What is said once after connecting, and how many answers end that; the peer may greet unasked.
  virtual std::string hello(std::size_t connection) const = 0;
  virtual std::size_t hello_answers() const = 0;
  virtual std::string window(std::size_t connection, std::uint64_t n) const = 0;
  virtual bool same_for_all() const { return true; }  // whatever the connection, the window is the same
  virtual std::size_t answers() const = 0;            // per window
  // Takes the first whole message of `in`: its size, 0 if it is not whole. Sets what it was.
  struct Message {
    bool counts = false;
    bool failed = false;
    std::string_view reply;  // to be sent back at once
  };
  virtual std::size_t message(std::string_view in, Message& m) const = 0;
};

class Http final : public Protocol {
 public:
  explicit Http(Load load) : load_(std::move(load)) {}
  std::string hello(std::size_t) const override { return {}; }
  std::size_t hello_answers() const override { return 0; }
  std::string window(std::size_t, std::uint64_t n) const override {
    std::string out;
    for (std::size_t i = 0; i < load_.pipeline; ++i) {
      std::string body;
      for (std::size_t j = 0; j < load_.batch; ++j) {
        body.append(j ? "\n" : "").append(record(n + i * load_.batch + j, load_.record_bytes));
      }
      out.append("POST ").append(load_.target).append(" HTTP/1.1\r\nHost: ").append(load_.host_port);
      out.append("\r\nContent-Type: application/").append(load_.batch > 1 ? "x-ndjson" : "json");
      out.append("\r\nContent-Length: ").append(std::to_string(body.size())).append("\r\n\r\n").append(body);
    }
    return out;
  }
  std::size_t answers() const override { return load_.pipeline; }
  std::size_t message(std::string_view in, Message& m) const override {
    const std::size_t head = in.find("\r\n\r\n");
    if (head == std::string_view::npos) return 0;
    constexpr std::string_view kLength = "\r\nContent-Length: ";
    const std::size_t at = in.substr(0, head).find(kLength);
    std::size_t length = 0;
    if (at != std::string_view::npos) {
      for (std::size_t i = at + kLength.size(); in[i] >= '0' && in[i] <= '9'; ++i) {
        length = length * 10 + static_cast<std::size_t>(in[i] - '0');
      }
    }
    const std::size_t size = head + 4 + length;
    if (in.size() < size) return 0;
    m.counts = true;
    m.failed = at == std::string_view::npos || in.substr(0, 12) != "HTTP/1.1 200";
    return size;
  }

 private:
  Load load_;
};

// Redis has no batch: a batch is so many XADD in one write, flushed together by its event loop.
class Redis final : public Protocol {
 public:
  explicit Redis(Load load) : load_(std::move(load)) {}
  std::string hello(std::size_t) const override { return {}; }
  std::size_t hello_answers() const override { return 0; }
  std::string window(std::size_t, std::uint64_t n) const override {
    std::string out;
    for (std::size_t i = 0; i < answers(); ++i) {
      const std::string data = record(n + i, load_.record_bytes);
      out.append("*5\r\n$4\r\nXADD\r\n$").append(std::to_string(load_.target.size())).append("\r\n");
      out.append(load_.target).append("\r\n$1\r\n*\r\n$1\r\nd\r\n$").append(std::to_string(data.size()));
      out.append("\r\n").append(data).append("\r\n");
    }
    return out;
  }
  std::size_t answers() const override { return load_.pipeline * load_.batch; }
  std::size_t message(std::string_view in, Message& m) const override {
    const std::size_t line = in.find("\r\n");
    if (line == std::string_view::npos) return 0;
    m.counts = true;
    m.failed = in[0] != '$' || in[1] == '-';
    if (in[0] != '$') return line + 2;
    std::size_t length = 0;
    for (std::size_t i = 1; i < line && in[i] != '-'; ++i) length = length * 10 + static_cast<std::size_t>(in[i] - '0');
    const std::size_t size = line + 2 + length + 2;
    return in.size() < size ? 0 : size;
  }

 private:
  Load load_;
};

// JetStream acknowledges each message on the reply subject; a batch is so many messages in one write.
class Nats final : public Protocol {
 public:
  explicit Nats(Load load) : load_(std::move(load)) {}
  std::string hello(std::size_t connection) const override {
    return "CONNECT {\"verbose\":false,\"pedantic\":false}\r\nSUB " + inbox(connection) + " 1\r\nPING\r\n";
  }
  std::size_t hello_answers() const override { return 1; }  // PONG
  bool same_for_all() const override { return false; }
  std::string window(std::size_t connection, std::uint64_t n) const override {
    std::string out;
    for (std::size_t i = 0; i < answers(); ++i) {
      const std::string data = record(n + i, load_.record_bytes);
      out.append("PUB ").append(load_.target).append(" ").append(inbox(connection)).append(" ");
      out.append(std::to_string(data.size())).append("\r\n").append(data).append("\r\n");
    }
    return out;
  }
  std::size_t answers() const override { return load_.pipeline * load_.batch; }
  std::size_t message(std::string_view in, Message& m) const override {
    const std::size_t line = in.find("\r\n");
    if (line == std::string_view::npos) return 0;
    if (in.starts_with("PING")) m.reply = "PONG\r\n";
    if (in.starts_with("PONG")) m.counts = true;
    if (in.starts_with("-ERR")) m.counts = m.failed = true;
    if (!in.starts_with("MSG ")) return line + 2;
    std::size_t length = 0;
    for (std::size_t i = in.rfind(' ', line) + 1; i < line; ++i) {
      length = length * 10 + static_cast<std::size_t>(in[i] - '0');
    }
    const std::size_t size = line + 2 + length + 2;
    if (in.size() < size) return 0;
    m.counts = true;
    const std::string_view said = in.substr(line + 2, length);
    m.failed = said.find("\"seq\":") == std::string_view::npos || said.find("\"error\"") != std::string_view::npos;
    return size;
  }

 private:
  static std::string inbox(std::size_t connection) { return "_INBOX.c" + std::to_string(connection); }
  Load load_;
};

// One prepared INSERT per record, each its own transaction (a Sync after each), or one COPY per batch.
class Postgres final : public Protocol {
 public:
  explicit Postgres(Load load) : load_(std::move(load)) {}
  std::string hello(std::size_t) const override {
    std::string startup;
    number(startup, 196608, 4);  // protocol 3.0
    for (const std::string_view s : {"user", "postgres", "database", "postgres"}) startup.append(s).push_back('\0');
    startup.push_back('\0');
    std::string out;
    number(out, startup.size() + 4, 4);
    out.append(startup);
    std::string parse("s");
    parse.push_back('\0');
    parse.append("INSERT INTO " + load_.target + "(data) VALUES ($1)").push_back('\0');
    number(parse, 0, 2);
    return out.append(typed('P', parse)).append(typed('S', ""));
  }
  std::size_t hello_answers() const override { return 2; }
  std::string window(std::size_t, std::uint64_t n) const override {
    std::string out;
    for (std::size_t i = 0; i < load_.pipeline; ++i) {
      if (load_.batch > 1) {
        std::string query = "COPY " + load_.target + "(data) FROM STDIN";
        query.push_back('\0');
        std::string rows;
        for (std::size_t j = 0; j < load_.batch; ++j) {
          rows.append(record(n + i * load_.batch + j, load_.record_bytes)).push_back('\n');
        }
        out.append(typed('Q', query)).append(typed('d', rows)).append(typed('c', ""));
        continue;
      }
      const std::string data = record(n + i, load_.record_bytes);
      std::string bind(1, '\0');
      bind.push_back('s');
      bind.push_back('\0');
      number(bind, 0, 2);  // all parameters are text
      number(bind, 1, 2);
      number(bind, data.size(), 4);
      bind.append(data);
      number(bind, 0, 2);
      std::string execute(1, '\0');
      number(execute, 0, 4);
      out.append(typed('B', bind)).append(typed('E', execute)).append(typed('S', ""));
    }
    return out;
  }
  std::size_t answers() const override { return load_.pipeline; }
  std::size_t message(std::string_view in, Message& m) const override {
    if (in.size() < 5) return 0;
    std::size_t length = 0;
    for (std::size_t i = 1; i < 5; ++i) length = length * 256 + static_cast<unsigned char>(in[i]);
    if (in.size() < length + 1) return 0;
    m.counts = in[0] == 'Z';  // ready for the next query: the transaction before it has ended
    m.failed = in[0] == 'E';
    return length + 1;
  }

 private:
  static void number(std::string& out, std::uint64_t n, int bytes) {
    for (int i = bytes - 1; i >= 0; --i) out.push_back(static_cast<char>(n >> (8 * i)));
  }
  static std::string typed(char type, std::string_view payload) {
    std::string out(1, type);
    number(out, payload.size() + 4, 4);
    return out.append(payload);
  }
  Load load_;
};

inline std::unique_ptr<Protocol> protocol(std::string_view name, const Load& load) {
  if (name == "http") return std::make_unique<Http>(load);
  if (name == "redis") return std::make_unique<Redis>(load);
  if (name == "nats") return std::make_unique<Nats>(load);
  if (name == "postgres") return std::make_unique<Postgres>(load);
  return nullptr;
}

}  // namespace bench
