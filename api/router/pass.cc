#include "api/router/pass.h"

namespace tidemill {

std::string_view Pass::over() const {
  if (keys_ == nullptr) return {};
  if (!id_) return keys_->any() ? "The first key was made: from now on one is needed." : "";
  const Keys::Found found = expires_ ? keys_->check_certificate(hash_, *expires_) : keys_->check_again(*id_, hash_);
  switch (found.verdict) {
    case Keys::Verdict::good:
      return found.id == *id_ ? "" : "The client's certificate stands for another key now.";
    case Keys::Verdict::revoked:
      return "The key was revoked.";
    case Keys::Verdict::expired:
      return "The key has expired.";
    case Keys::Verdict::certificate_ended:
      return "The client's certificate has expired.";
    case Keys::Verdict::malformed:
    case Keys::Verdict::unknown:
      break;
  }
  return expires_ ? "The client's certificate does not stand for the key any more."
                  : "The key's secret was replaced, and the time for which the old one was good is over.";
}

}  // namespace tidemill
