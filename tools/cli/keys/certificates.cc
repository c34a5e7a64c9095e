#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "api/http/certificate.h"
#include "storage/seam/clock.h"
#include "tools/cli/keys/local_keys.h"
#include "tools/cli/keys/named_key.h"
#include "tools/cli/output.h"
#include "tools/cli/remote.h"

namespace tidemill::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kFileMax = 1 << 20;

// The first certificate of the file, alone: a chain behind it is nobody's business, and a private key beside it must
// not travel. Empty: `error` says why.
std::string certificate_in(const std::string& path, std::string& error) {
  std::ifstream in(path, std::ios::binary);
  if (!in.is_open()) {
    error = "cannot read " + path + ": " + std::strerror(errno);
    return {};
  }
  std::string text(kFileMax, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----";
  constexpr std::string_view kEnd = "-----END CERTIFICATE-----";
  const std::size_t begin = text.find(kBegin);
  const std::size_t end = begin == std::string::npos ? begin : text.find(kEnd, begin);
  if (end == std::string::npos) {
    error = path + " holds no certificate in PEM (" + std::string(kBegin) +
            "); `openssl x509 -inform DER -in FILE -out FILE.pem` makes one of DER";
    return {};
  }
  return text.substr(begin, end + kEnd.size() - begin) + "\n";
}

std::optional<KeyCertificate> parse(const std::string& pem, std::string& error) {
  const auto read = http::read_certificate(pem, error);
  if (!read) return std::nullopt;
  KeyCertificate certificate;
  certificate.sha256 = parse_hash(read->sha256).value();
  certificate.subject = read->subject;
  certificate.expires = WallTime(std::chrono::seconds(read->expires_s));
  return certificate;
}

// AB:CD…, as openssl and browsers write it, too.
std::optional<KeyHash> fingerprint(std::string text) {
  std::erase(text, ':');
  for (char& c : text)
    if (c >= 'A' && c <= 'F') c = static_cast<char>(c + 32);
  return parse_hash(text);
}

}  // namespace

int keys_bind(const KeysOptions& options) {
  constexpr const char* kCommand = "keys bind";
  std::string error;
  const auto id = named_key(options.id, error);
  if (!id) return wrong_use(kCommand, error);
  const std::string pem = certificate_in(options.certificate, error);
  const auto certificate = pem.empty() ? std::nullopt : parse(pem, error);
  if (!certificate) return wrong_use(kCommand, error);
  if (!options.data.empty()) {
    if (const std::string unfit = http::unfit_for_client(pem); !unfit.empty())
      return wrong_use(kCommand, options.certificate + " cannot stand for a key: " + unfit);
    if (certificate->expires <= system_clock().wall())
      return wrong_use(kCommand, "the certificate has expired at " + format_rfc3339(certificate->expires));
    const auto local = LocalKeys::open(options.data, LocalKeys::Missing::refuse, error);
    if (!local) return wrong_use(kCommand, error);
    const auto bound = local->keys().bind(*id, *certificate, true, {});
    if (!bound) return wrong_use(kCommand, bound.error().message());
  } else {
    const auto server = resolve(options.remote, error);
    if (!server) return wrong_use(kCommand, error);
    HttpRequest request = server->request("POST", "/v1/keys/" + to_text(*id) + "/certificates");
    request.headers.emplace_back("Content-Type", "application/json");
    const std::string body = Json{{"certificate", pem}}.dump();
    request.body = body;
    const Answer answer = call(*server, kCommand, request);
    if (answer.exit_code != kOk) return answer.exit_code;
  }
  return print("bound " + hex_of(certificate->sha256) + " to " + to_text(*id) + "\n"), kOk;
}

int keys_unbind(const KeysOptions& options) {
  constexpr const char* kCommand = "keys unbind";
  std::string error;
  const auto id = named_key(options.id, error);
  if (!id) return wrong_use(kCommand, error);
  std::optional<KeyHash> sha256 = fingerprint(options.certificate);
  if (!sha256) {
    const std::string pem = certificate_in(options.certificate, error);
    const auto certificate = pem.empty() ? std::nullopt : parse(pem, error);
    if (!certificate)
      return wrong_use(kCommand,
                       error + "; --certificate takes the file, or the SHA-256 that `tidemill keys list` shows");
    sha256 = certificate->sha256;
  }
  if (!options.data.empty()) {
    const auto local = LocalKeys::open(options.data, LocalKeys::Missing::refuse, error);
    if (!local) return wrong_use(kCommand, error);
    const auto unbound = local->keys().unbind(*id, *sha256, {});
    if (!unbound) return wrong_use(kCommand, unbound.error().message());
  } else {
    const auto server = resolve(options.remote, error);
    if (!server) return wrong_use(kCommand, error);
    const std::string path = "/v1/keys/" + to_text(*id) + "/certificates/" + hex_of(*sha256);
    const Answer answer = call(*server, kCommand, server->request("DELETE", path));
    if (answer.exit_code != kOk) return answer.exit_code;
  }
  return print("unbound " + hex_of(*sha256) + " from " + to_text(*id) + "\n"), kOk;
}

}  // namespace tidemill::cli
