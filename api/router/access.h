#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "api/http/message.h"
#include "api/router/need.h"
#include "api/router/pass.h"
#include "engine/keys/keys.h"

namespace tidemill {

// Why a request was turned away, for metrics.
enum class Denial : std::uint8_t { no_key, malformed, unknown, expired, revoked, mismatch, forbidden };
inline constexpr std::size_t kDenials = static_cast<std::size_t>(Denial::forbidden) + 1;
std::string_view denial_name(Denial denial);

struct Admission {
  std::shared_ptr<const Principal> who;  // nullptr where it is refused
  std::optional<KeyId> key;
  std::optional<http::Response> refusal;  // 401; `key` is there all the same where its secret was right
  Denial denial = Denial::no_key;         // why
  Pass pass;
};

// Whose request it is, and whether they may. `keys` may be nullptr; outlives this. Any thread; never blocks.
class Access {
 public:
  explicit Access(Keys* keys) : keys_(keys) {}
  // Looks for the key in Authorization and X-Api-Key, and judges it. Where none came, the certificate that the client
  // has shown may stand for one; where both do, they must be of one key.
  Admission admit(const Need& need, const http::Request& request) const;
  // Whether a request with this head can pass admit() and refuse(). False is certain. Counts nothing.
  bool may_pass(const Need& need, const http::Request& head, std::string_view param) const;
  // 403, where the scope is missing. Before anybody looks whether the thing is there. `param`: the path's first,
  // decoded.
  std::optional<http::Response> refuse(const Need& need, const Principal& who, std::string_view param) const;

  std::uint64_t denied(Denial denial) const { return denied_[static_cast<std::size_t>(denial)]; }
  void count(Denial denial) const { ++denied_[static_cast<std::size_t>(denial)]; }
  Keys* keys() const { return keys_; }

 private:
  Admission judge(const Need& need, const http::Request& request) const;
  Admission refused(Denial denial, std::string_view detail, std::optional<KeyId> key = {}) const;
  Admission judge_certificate(const http::Request& request) const;
  Admission admit_found(Keys::Found found, bool by_certificate) const;
  http::Response unauthorized(Denial denial, std::string_view detail) const;

  Keys* const keys_;
  const std::shared_ptr<const Principal> anybody_ = std::make_shared<const Principal>();
  mutable std::array<std::atomic<std::uint64_t>, kDenials> denied_{};
};

// 403 that names what is missing.
http::Response forbidden(std::string_view needs);

}  // namespace tidemill
