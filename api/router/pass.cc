#include "api/router/pass.h"

#include <array>

namespace tidemill {

std::string_view ended_name(Ended why) {
  static constexpr std::array<std::string_view, kEnds> kNames{"revoked", "expired", "replaced", "unbound", "first_key"};
  return kNames[static_cast<std::size_t>(why)];
}

std::optional<Pass::Over> Pass::over() const {
  if (keys_ == nullptr) return {};
  if (!id_) {
    if (!keys_->any()) return {};
    return Over{Ended::first_key, "The first key was made: from now on one is needed."};
  }
  const Keys::Found found = expires_ ? keys_->check_certificate(hash_, *expires_) : keys_->check_again(*id_, hash_);
  switch (found.verdict) {
    case Keys::Verdict::good:
      if (found.id == *id_) return {};
      return Over{Ended::unbound, "The client's certificate stands for another key now."};
    case Keys::Verdict::revoked:
      return Over{Ended::revoked, "The key was revoked."};
    case Keys::Verdict::expired:
      return Over{Ended::expired, "The key has expired."};
    case Keys::Verdict::certificate_ended:
      return Over{Ended::expired, "The client's certificate has expired."};
    case Keys::Verdict::malformed:
    case Keys::Verdict::unknown:
      break;
  }
  if (expires_) return Over{Ended::unbound, "The client's certificate does not stand for the key any more."};
  return Over{Ended::replaced, "The key's secret was replaced, and the time for which the old one was good is over."};
}

}  // namespace tidemill
