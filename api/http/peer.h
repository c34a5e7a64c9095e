#pragma once

#include <cstdint>
#include <string>

namespace tidemill::http {

// The certificate that a client has shown and its authority has been checked for (Limits say nothing of it; see
// TlsMaterial::client_ca). Owned by the connection, lives as long as it, never changes.
struct PeerCertificate {
  std::string sha256;          // of the whole certificate (DER), 64 lower-case hexadecimal digits
  std::string subject;         // RFC 2253, at most 255 bytes of ASCII: CN=producer-7,O=Example
  std::int64_t expires_s = 0;  // since 1970
};

}  // namespace tidemill::http
