#pragma once

#include <optional>
#include <string>

#include "api/http/message.h"
#include "api/http/responder.h"
#include "engine/keys/principal.h"
#include "engine/limits/limiter.h"

namespace tidemill {

// Limits as a client meets them: 429 and its like, and the headers RateLimit-Policy and RateLimit
// (draft-ietf-httpapi-ratelimit-headers-10) on every answer to a request whose key or tenant has limits. On network
// threads; never blocks. Nothing but a pointer: made where it is needed.
class LimitGate {
 public:
  explicit LimitGate(Limiter* limiter) : limiter_(limiter) {}  // nullptr: nobody is limited
  bool on() const { return limiter_ != nullptr; }

  using Refused = std::optional<http::Response>;
  // When a request was let in; none: neither its key nor its tenant has limits, and foresee() need not be asked.
  using Limited = std::optional<MonotonicTime>;
  // One more request, whose key was judged.
  Refused admit(const std::optional<KeyId>& key, const std::string& tenant, http::Responder& responder,
                Limited& limited) const;
  Refused foresee(const std::optional<KeyId>& key, const std::string& tenant, const Amounts& amounts,
                  http::Responder& responder, Limited limited) const;
  Refused charge(const std::optional<KeyId>& key, const std::string& tenant, const Amounts& amounts,
                 http::Responder& responder, Limited limited) const;
  // A change of definitions: streams, views, keys, limits, quarantine. Each is kept for ever, so a tenant has so many
  // an hour; who runs the server has as many as they like.
  Refused change(const Principal& who, const std::optional<KeyId>& key, Limited limited) const;

 private:
  Limiter* const limiter_;
};

// 429 and Retry-After; 409 for streams, 507 for the disk.
http::Response limit_problem(const Refusal& refusal);

}  // namespace tidemill
