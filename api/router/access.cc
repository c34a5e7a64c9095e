#include "api/router/access.h"

#include <openssl/crypto.h>

#include <string>

#include "api/errors/problem.h"

namespace tidemill {
namespace {

constexpr std::string_view kHow = "Authorization: Bearer, or X-Api-Key";

// The key that the request carries. False: there is more than one, or Authorization is something else; `wrong` says so.
bool key_of(const http::Request& request, std::string_view& key, std::string& wrong) {
  std::size_t found = 0;
  for (const http::Header& header : request.headers) {
    if (http::iequals(header.name, "X-Api-Key")) {
      ++found;
      key = header.value;
    } else if (http::iequals(header.name, "Authorization")) {
      ++found;
      const std::size_t blank = header.value.find(' ');
      if (blank == std::string_view::npos || !http::iequals(header.value.substr(0, blank), "Bearer")) {
        wrong = "Authorization is not understood.";
        return false;
      }
      key = header.value.substr(blank);
      while (key.starts_with(' ')) key.remove_prefix(1);
    }
  }
  if (found > 1) wrong = "More than one key came: send one, once, as " + std::string(kHow) + ".";
  return found <= 1;
}

// What came as a key goes from the connection's buffer, which may stay as it is for long: a core file is then without
// it. The buffer is the connection's own, and nobody reads these headers again.
void forget_keys(const http::Request& request) {
  for (const http::Header& header : request.headers) {
    if (header.value.empty()) continue;
    if (http::iequals(header.name, "X-Api-Key") || http::iequals(header.name, "Authorization"))
      OPENSSL_cleanse(const_cast<char*>(header.value.data()), header.value.size());
  }
}

}  // namespace

std::string_view denial_name(Denial denial) {
  static constexpr std::array<std::string_view, kDenials> kNames{"no_key",  "malformed", "unknown",
                                                                 "expired", "revoked",   "forbidden"};
  return kNames[static_cast<std::size_t>(denial)];
}

http::Response Access::unauthorized(Denial denial, std::string_view detail) const {
  count(denial);
  http::Response response = problem(ErrorId::unauthorized, detail);
  response.add_header("WWW-Authenticate", denial == Denial::no_key
                                              ? "Bearer realm=\"tidemill\""
                                              : "Bearer realm=\"tidemill\", error=\"invalid_token\"");
  return response;
}

Admission Access::admit(const Need& need, const http::Request& request) const {
  if (keys_ == nullptr || !keys_->any()) return {anybody_, std::nullopt, std::nullopt};
  Admission admission = judge(need, request);
  forget_keys(request);
  return admission;
}

Admission Access::judge(const Need& need, const http::Request& request) const {
  if (!need.needs_key()) return {anybody_, std::nullopt, std::nullopt};
  const auto refused = [this](Denial denial, std::string_view detail, std::optional<KeyId> id = {}) {
    return Admission{nullptr, id, unauthorized(denial, detail), denial};
  };
  std::string_view key;
  std::string wrong;
  if (!key_of(request, key, wrong)) return refused(Denial::malformed, wrong);
  if (key.empty()) return refused(Denial::no_key, "No key came.");
  Keys::Found found = keys_->check(key);
  switch (found.verdict) {
    case Keys::Verdict::good:
      return {std::move(found.who), found.id, std::nullopt};
    case Keys::Verdict::malformed:
      return refused(Denial::malformed, "What came as the key is not one, or is mistyped.");
    case Keys::Verdict::unknown:
      break;
    case Keys::Verdict::expired:
      return refused(Denial::expired, "The key has expired.", found.id);
    case Keys::Verdict::revoked:
      return refused(Denial::revoked, "The key was revoked.", found.id);
  }
  return refused(Denial::unknown, "There is no such key.");
}

bool Access::may_pass(const Need& need, const http::Request& head, std::string_view param) const {
  if (keys_ == nullptr || !keys_->any() || !need.needs_key()) return true;
  std::string_view key;
  std::string wrong;
  if (!key_of(head, key, wrong)) return false;
  // Without a key in the head a certificate may stand for one: whoever shows one is judged with the whole request.
  if (key.empty()) return head.peer != nullptr;
  const Keys::Found found = keys_->check(key);
  return found.verdict == Keys::Verdict::good && need.met_by(*found.who, param);
}

std::optional<http::Response> Access::refuse(const Need& need, const Principal& who, std::string_view param) const {
  if (need.met_by(who, param)) return std::nullopt;
  count(Denial::forbidden);
  return forbidden(need.text(param));
}

http::Response forbidden(std::string_view scope) {
  return problem(ErrorId::forbidden, "It has not the scope " + std::string(scope.substr(0, 200)) + ".");
}

}  // namespace tidemill
