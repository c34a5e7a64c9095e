#pragma once

#include <memory>
#include <optional>
#include <string>

#include "api/http/tls_context.h"
#include "storage/base/logger.h"
#include "storage/seam/file_system.h"
#include "tools/cli/config/config.h"

namespace tidemill::cli {

// The certificate that the server shows: from the configuration's files, which are looked at again while it runs, or
// self-signed and made at the start, in memory only. Owned by RunningServer, on its thread.
class Certificate {
 public:
  Certificate(FileSystem& files, Clock& clock, Logger& logger) : files_(files), clock_(clock), logger_(logger) {}

  // nullptr without TLS. An error was said.
  struct Begun {
    bool good = true;
    std::shared_ptr<const http::TlsContext> tls;
  };
  Begun begin(const Config& config, bool self_signed, const std::string& host);

  enum class Change { none, taken, refused };
  struct Look {
    Change change = Change::none;
    std::shared_ptr<const http::TlsContext> tls;  // when taken
  };
  // Reads the files again. What was refused is refused once, unless it is asked for (`again`): a certificate and its
  // key are two files, and one of them is written first.
  Look look(bool again);

 private:
  std::optional<http::TlsMaterial> read(std::string& error) const;
  void say(const http::TlsContext& tls, const char* what) const;

  FileSystem& files_;
  Clock& clock_;
  Logger& logger_;
  std::string certificate_, key_, client_ca_;  // paths
  http::ClientCertificates clients_ = http::ClientCertificates::none;
  std::size_t seen_ = 0;     // hash of what the files held, or of why they could not be read
  std::size_t serving_ = 0;  // of what is served
};

}  // namespace tidemill::cli
