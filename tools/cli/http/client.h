#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/http/tls_trust.h"

namespace tidemill::http {
class TlsStream;
}

namespace tidemill::cli {

// http://HOST[:PORT][/PATH], or https://.
struct Url {
  bool tls = false;
  http::TlsTrust trust;  // of https; not in the text
  std::string host;      // without brackets
  std::uint16_t port = 80;
  std::string path;  // with its leading slash; empty when the URL has none or only "/"

  static std::optional<Url> parse(std::string_view text, std::string& error);
  std::string authority() const;  // for the Host header and for messages
};

std::string percent_encode(std::string_view text);  // all but A-Z a-z 0-9 - . _ ~

struct HttpRequest {
  std::string method = "GET";
  std::string target;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string_view body;
};

struct HttpResponse {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
  std::string_view header(std::string_view lower_case_name) const;  // empty when it is not there
};

// What became of a request that got no answer.
struct HttpFailure {
  enum class Kind {
    not_connected,  // nothing was sent
    no_tls,         // likewise: the handshake broke off
    not_trusted,    // one does not believe the other's certificate, or there is no TLS: it would be the same again
    lost,           // the connection ended before the answer was whole; the server may have done it
    timed_out,      // as lost
    stopped,        // the caller's flag
    broken,         // the answer is not HTTP
  } kind = Kind::not_connected;
  std::string message;  // a sentence, with host and port
};

// One HTTP/1.1 connection that is kept alive between requests and made anew when it was closed. Blocking; one thread
// at a time. For the program's own client commands, which talk to one server and know what they ask for.
class HttpClient {
 public:
  struct Options {
    std::chrono::milliseconds connect_timeout{5'000};
    std::chrono::milliseconds answer_timeout{60'000};  // between two pieces of an answer
    const std::atomic<bool>* stop = nullptr;           // becomes true: give up waiting
  };
  HttpClient(Url url, Options options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // The whole answer, or nothing and `failure`.
  std::optional<HttpResponse> send(const HttpRequest& request, HttpFailure& failure);
  // Hands the body over piece by piece as it comes; false from `piece` ends it. For answers that do not end by
  // themselves. An answer that is not 2xx comes back whole in the result instead.
  std::optional<HttpResponse> stream(const HttpRequest& request, const std::function<bool(std::string_view)>& piece,
                                     HttpFailure& failure);
  const Url& url() const { return url_; }
  void close();

 private:
  std::optional<HttpResponse> exchange(const HttpRequest& request, const std::function<bool(std::string_view)>* piece,
                                       HttpFailure& failure);
  bool connect(HttpFailure& failure);
  bool handshake(HttpFailure& failure);
  bool write_all_tls(std::string_view text, HttpFailure& failure);
  bool fill_tls(HttpFailure& failure);
  bool write_all(std::string_view head, std::string_view body, HttpFailure& failure);
  bool fill(HttpFailure& failure);  // reads more into buffer_; false at the end, too
  bool wait(short events, std::chrono::milliseconds timeout, HttpFailure& failure);
  bool read_body(HttpResponse& response, const std::function<bool(std::string_view)>& take, HttpFailure& failure);
  void fail(HttpFailure& failure, HttpFailure::Kind kind, const std::string& what) const;

  Url url_;
  Options options_;
  int socket_ = -1;
  std::shared_ptr<const http::TlsTrustContext> trust_;  // of https, once it was needed
  std::unique_ptr<http::TlsStream> tls_;                // of the connection
  bool ended_ = false;                                  // the other side closed
  std::string buffer_;                                  // read but not used
  bool stop_body_ = false;                              // `piece` said enough
};

}  // namespace tidemill::cli
