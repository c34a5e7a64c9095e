#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "api/http/peer.h"

namespace tidemill::http {

// What a PEM text says of its first certificate. nullopt: `error` is a sentence that names the cause and the remedy. A
// text that has a private key in it is refused: those stay where they are.
std::optional<PeerCertificate> read_certificate(std::string_view pem, std::string& error);

}  // namespace tidemill::http
