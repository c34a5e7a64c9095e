#include "api/router/access.h"

#include <algorithm>
#include <string>

#include "api/errors/problem.h"
#include "engine/keys/key_text.h"

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

// Whether the URL carries what other services take as a key there.
bool has_key_in_url(std::string_view query) {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    const std::string_view name = pair.substr(0, pair.find('='));
    for (const char* one : {"key", "api_key", "access_token"})
      if (http::iequals(name, one)) return true;
  }
  return false;
}

std::string_view no_key_in(const http::Request& request) {
  if (!has_key_in_url(request.query)) return "No key came.";
  // How to send one, the answer says anyway.
  return "No key came: none is taken from the URL, for URLs end up in logs. If the one there was good, rotate it.";
}

KeyHash certificate_of(const http::Request& request) {
  return parse_hash(request.peer->sha256).value_or(KeyHash{});
}

}  // namespace

std::string_view denial_name(Denial denial) {
  static constexpr std::array<std::string_view, kDenials> kNames{"no_key",  "malformed", "unknown",  "expired",
                                                                 "revoked", "mismatch",  "forbidden"};
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
  if (keys_ == nullptr || !keys_->any())
    return {anybody_, std::nullopt, std::nullopt, {}, need.needs_key() ? Pass(keys_) : Pass()};
  return judge(need, request);
}

Admission Access::refused(Denial denial, std::string_view detail, std::optional<KeyId> key) const {
  return {nullptr, key, unauthorized(denial, detail), denial};
}

Admission Access::judge(const Need& need, const http::Request& request) const {
  if (!need.needs_key()) return {anybody_, std::nullopt, std::nullopt};
  std::string_view key;
  std::string wrong;
  if (!key_of(request, key, wrong)) return refused(Denial::malformed, wrong);
  if (key.empty()) {
    // An empty header was meant as a key: an unset variable must not make somebody else of a client.
    const bool came = request.count("X-Api-Key") + request.count("Authorization") != 0;
    return came ? refused(Denial::no_key, no_key_in(request)) : judge_certificate(request);
  }
  Keys::Found found = keys_->check(key);
  if (found.verdict == Keys::Verdict::malformed && parse_access_key(key))
    return refused(Denial::malformed,
                   "What came as the key is the access key id of a key of kind aws, which is not taken here: a key of "
                   "kind api is.");
  // A key that somebody has taken is not good over the connection of somebody else.
  if (found.verdict == Keys::Verdict::good && request.peer != nullptr) {
    const auto of_peer = keys_->key_of_certificate(certificate_of(request));
    if (of_peer && *of_peer != found.id)
      return refused(Denial::mismatch,
                     "The client's certificate stands for another key than the one that came with it.", found.id);
  }
  return admit_found(std::move(found), false);
}

Admission Access::judge_certificate(const http::Request& request) const {
  if (request.peer == nullptr) return refused(Denial::no_key, no_key_in(request));
  auto found =
      keys_->check_certificate(certificate_of(request), WallTime(std::chrono::seconds(request.peer->expires_s)));
  if (found.verdict == Keys::Verdict::unknown)
    return refused(Denial::no_key, "No key came, and the client's certificate stands for none.");
  Admission admission = admit_found(std::move(found), true);
  if (admission.who)
    admission.pass = Pass::of_certificate(keys_, *admission.key, certificate_of(request),
                                          WallTime(std::chrono::seconds(request.peer->expires_s)));
  return admission;
}

Admission Access::admit_found(Keys::Found found, bool by_certificate) const {
  switch (found.verdict) {
    case Keys::Verdict::good:
      return {std::move(found.who), found.id, std::nullopt, {}, Pass(keys_, found.id, found.shown)};
    case Keys::Verdict::malformed:
      return refused(Denial::malformed, "What came as the key is not one, or is mistyped.");
    case Keys::Verdict::unknown:
      break;
    case Keys::Verdict::expired:
      return refused(
          Denial::expired,
          by_certificate ? "The key that the client's certificate stands for has expired." : "The key has expired.",
          found.id);
    case Keys::Verdict::revoked:
      return refused(
          Denial::revoked,
          by_certificate ? "The key that the client's certificate stands for was revoked." : "The key was revoked.",
          found.id);
    case Keys::Verdict::certificate_ended:
      return refused(Denial::expired, "The client's certificate has expired.", found.id);
  }
  return refused(Denial::unknown, "There is no such key, or another secret has replaced this one.");
}

bool Access::may_pass(const Need& need, const http::Request& head, std::string_view param) const {
  if (keys_ == nullptr || !keys_->any() || !need.needs_key()) return true;
  std::string_view key;
  std::string wrong;
  if (!key_of(head, key, wrong)) return false;
  // Without a key in the head a certificate may stand for one: that is judged with the whole request.
  if (key.empty()) return head.peer != nullptr && keys_->key_of_certificate(certificate_of(head)).has_value();
  const Keys::Found found = keys_->check(key);
  return found.verdict == Keys::Verdict::good && need.met_by(*found.who, param);
}

std::optional<http::Response> Access::refuse(const Need& need, const Principal& who, std::string_view param) const {
  if (need.met_by(who, param)) return std::nullopt;
  count(Denial::forbidden);
  return forbidden(need.text(param));
}

http::Response forbidden(std::string_view needs) {
  // Of a Need that is no one scope the words say which.
  const std::string_view what = needs.starts_with("any scope of ") ? "It needs " : "It has not the scope ";
  return problem(ErrorId::forbidden, std::string(what) + without_secrets(needs.substr(0, 200)) + ".");
}

}  // namespace tidemill
