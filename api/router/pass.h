#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "engine/keys/keys.h"

namespace tidemill {

// Why an answer without an end was ended, for metrics and the audit trail.
enum class Ended : std::uint8_t { revoked, expired, replaced, unbound, first_key };
inline constexpr std::size_t kEnds = static_cast<std::size_t>(Ended::first_key) + 1;
std::string_view ended_name(Ended why);

// What a request was let in by, to be judged again where its answer has no end. Holds a hash, no secret. Scopes of a
// key never change, so they are not asked again. `keys` outlives it. Any thread.
class Pass {
 public:
  Pass() = default;                           // none was needed
  explicit Pass(Keys* keys) : keys_(keys) {}  // nobody had made a key yet
  Pass(Keys* keys, KeyId id, const KeyHash& secret) : keys_(keys), id_(id), hash_(secret) {}
  static Pass of_certificate(Keys* keys, KeyId id, const KeyHash& sha256, WallTime expires) {
    Pass pass(keys, id, sha256);
    pass.expires_ = expires;
    return pass;
  }
  struct Over {
    Ended why;
    std::string_view text;  // a sentence, for the client
  };
  // Nothing: it is as good as it was. Never blocks.
  std::optional<Over> over() const;

 private:
  Keys* keys_ = nullptr;
  std::optional<KeyId> id_;
  KeyHash hash_{};                   // of the key's text, or of the certificate
  std::optional<WallTime> expires_;  // of the certificate
};

}  // namespace tidemill
