#include "api/keys/key_input.h"

#include "api/http/certificate.h"
#include "api/json_body.h"

namespace tidemill {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kGraceDefault = 24 * 3600;
constexpr std::uint64_t kGraceMax = 90 * 24 * 3600;

bool blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

}  // namespace

Input<WantedKey> parse_key_wanted(std::string_view text, std::string_view tenant) {
  const auto json = JsonBody::parse(text);
  if (!json || !json->is_object())
    return json.error("The body must be a JSON object, such as {\"name\":\"shop\",\"scopes\":[...]}.");
  WantedKey wanted;
  wanted.tenant = tenant;
  for (const auto& [name, value] : json->items()) {
    if (name == "name") {
      if (!value.is_string()) return InputError{"`name` is text."};
      wanted.name = value.get<std::string>();
    } else if (name == "tenant") {
      if (!value.is_string()) return InputError{"`tenant` is text."};
      wanted.tenant = value.get<std::string>();
    } else if (name == "kind") {
      if (value != "api" && value != "aws") return InputError{"`kind` is api or aws."};
      wanted.kind = value == "api" ? KeyKind::api : KeyKind::aws;
    } else if (name == "scopes") {
      if (!value.is_array()) return InputError{"`scopes` is an array of texts, such as [\"stream:retail:write\"]."};
      for (const Json& one : value) {
        auto scope = one.is_string() ? parse_scope(one.get<std::string>()) : std::nullopt;
        if (!scope)
          return InputError{(one.is_string() ? quoted(one.get<std::string>()) : std::string("That")) +
                            " is not a scope: they are stream:NAME:write|read|admin, view:NAME:query|admin, "
                            "server:read|admin and instance:read|admin; NAME may end in *."};
        wanted.scopes.push_back(std::move(*scope));
      }
    } else if (name == "expires") {
      if (value.is_null()) continue;
      wanted.expires = value.is_string() ? parse_rfc3339(value.get<std::string>()) : std::nullopt;
      if (!wanted.expires) return InputError{"`expires` is a time such as 2027-01-31T00:00:00Z, or null: never."};
    } else {
      return InputError{quoted(name) + " is not known here; there are name, kind, tenant, scopes and expires."};
    }
  }
  return wanted;
}

Input<KeyCertificate> parse_key_certificate(std::string_view text, WallTime now) {
  const auto json = JsonBody::parse(text);
  if (!json || !json->is_object() || !json->contains("certificate") || !(*json)["certificate"].is_string())
    return json.error(
        "The body must be a JSON object with the certificate in PEM, {\"certificate\":\"-----BEGIN ...\"}.");
  for (const auto& [name, value] : json->items())
    if (name != "certificate") return InputError{quoted(name) + " is not known here; there is certificate."};
  std::string error;
  const auto read = http::read_certificate((*json)["certificate"].get_ref<const std::string&>(), error);
  if (!read) return InputError{"`certificate` cannot be taken: " + error + "."};
  if (const std::string unfit = http::unfit_for_client((*json)["certificate"].get_ref<const std::string&>());
      !unfit.empty())
    return InputError{"The certificate cannot stand for a key: " + unfit + "."};
  KeyCertificate certificate;
  certificate.sha256 = parse_hash(read->sha256).value();
  certificate.subject = read->subject;
  certificate.expires = WallTime(std::chrono::seconds(read->expires_s));
  if (certificate.expires <= now)
    return InputError{"The certificate has expired at " + format_rfc3339(certificate.expires) + "."};
  return certificate;
}

Input<std::chrono::seconds> parse_key_rotation(std::string_view text) {
  std::uint64_t grace = kGraceDefault;
  if (blank(text)) return std::chrono::seconds(grace);
  const auto json = JsonBody::parse(text);
  if (!json || !json->is_object())
    return json.error("The body is a JSON object, such as {\"grace_seconds\":3600}, or empty.");
  for (const auto& [name, value] : json->items()) {
    if (name != "grace_seconds") return InputError{quoted(name) + " is not known here; there is grace_seconds."};
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > kGraceMax)
      return InputError{"`grace_seconds` is a number from 0 (the old secret ends at once) to 7776000 (90 days)."};
    grace = value.get<std::uint64_t>();
  }
  return std::chrono::seconds(grace);
}

}  // namespace tidemill
