#pragma once

// Behind the TLS sources only.

#include <string>

#include "api/http/openssl.h"

namespace tidemill::http {

// Gives the context a certificate to show, the chain behind it and its key: PEM texts, of a server or of a client.
// nullptr: `error` is a sentence that names the cause and the remedy. Never asks a terminal for a password.
OwnedX509 use_own_certificate(SSL_CTX* context, const std::string& certificate, const std::string& key,
                              std::string& error);

OwnedBio bio_of(const std::string& text);  // reads the text, which must outlive it
OwnedX509 next_certificate(BIO* from);     // nullptr: no more, or one that cannot be read
// After nullptr: was it the end? Forgets this thread's errors.
bool was_end_of_certificates();

}  // namespace tidemill::http
