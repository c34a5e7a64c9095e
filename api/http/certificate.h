#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "api/http/peer.h"

namespace tidemill::http {

// What a PEM text says of its first certificate. nullopt: `error` is a sentence that names the cause and the remedy. A
// text that has a private key in it is refused: those stay where they are.
std::optional<PeerCertificate> read_certificate(std::string_view pem, std::string& error);

// Why a client could never show it, or should not, as a sentence without its end; empty: it may. By its own contents:
// who signed it and whether it is good now is not looked at. `pem` is one that read_certificate() takes.
std::string unfit_for_client(std::string_view pem);

}  // namespace tidemill::http
