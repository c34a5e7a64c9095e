#pragma once

#include <memory>
#include <optional>
#include <string>

#include "api/http/tls_context.h"
#include "storage/base/logger.h"
#include "storage/seam/file_system.h"
#include "tools/cli/config/config.h"

namespace tidemill::cli {

// Whether others than the server may read a file of this mode and owner that `user` serves with. PostgreSQL's rule: a
// file of root's may be read by its group, which is how one key is given to several servers (Debian's ssl-cert).
bool key_is_exposed(unsigned mode, unsigned owner, unsigned user);
// The same of the file: what is logged of it. nullopt: it is not, or cannot be looked at.
struct ExposedKey {
  std::string mode, remedy;  // "0644"
};
std::optional<ExposedKey> exposed_key(const std::string& path);

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
  // key are two files, and one of them is written first. So it is with the warning of a key that others may read.
  Look look(bool again);

 private:
  std::optional<http::TlsMaterial> read(std::string& error) const;
  void say(const http::TlsContext& tls, const char* what) const;
  void warn_of_key() const;

  FileSystem& files_;
  Clock& clock_;
  Logger& logger_;
  std::string certificate_, key_, client_ca_;  // paths
  http::ClientCertificates clients_ = http::ClientCertificates::none;
  std::size_t seen_ = 0;     // hash of what the files held, or of why they could not be read
  std::size_t serving_ = 0;  // of what is served
};

}  // namespace tidemill::cli
