#include "tools/cli/serve/certificate.h"

#include <chrono>
#include <functional>

#include "storage/base/time.h"
#include "storage/seam/clock.h"

namespace tidemill::cli {
namespace {

constexpr std::uint64_t kFileMax = 1 << 20;

std::size_t hash_of(const http::TlsMaterial& m) {
  return std::hash<std::string>()(m.certificate + '\0' + m.key + '\0' + m.client_ca);
}

}  // namespace

std::optional<http::TlsMaterial> Certificate::read(std::string& error) const {
  http::TlsMaterial material;
  material.clients = clients_;
  const auto take = [&](const std::string& path, const char* key, std::string& into) {
    auto text = read_file(files_, path, kFileMax);
    if (!text) {
      error = path + " cannot be read: " + text.error().message() + "; " + key + " names it";
      return false;
    }
    into = std::move(*text);
    return true;
  };
  const bool files = !certificate_.empty();  // else self-signed
  if (files &&
      !(take(certificate_, "server.tls_cert", material.certificate) && take(key_, "server.tls_key", material.key)))
    return std::nullopt;
  if (clients_ != http::ClientCertificates::none && !take(client_ca_, "server.tls_client_ca", material.client_ca))
    return std::nullopt;
  return material;
}

void Certificate::say(const http::TlsContext& tls, const char* what) const {
  const auto end = std::chrono::sys_seconds(std::chrono::seconds(tls.expires_s()));
  logger_.info(what, {{"subject", tls.subject()},
                      {"sha256", tls.fingerprint()},
                      {"good_until", format_rfc3339(std::chrono::time_point_cast<WallTime::duration>(end))}});
  if (end < clock_.wall())
    logger_.warning("the certificate has expired: clients refuse it; renew it (docs/operations.md)",
                    {{"certificate", certificate_}});
}

Certificate::Begun Certificate::begin(const Config& config, bool self_signed, const std::string& host) {
  Begun begun;
  std::string error;
  std::optional<http::TlsMaterial> material;
  clients_ = config.tls_client == "required"   ? http::ClientCertificates::required
             : config.tls_client == "optional" ? http::ClientCertificates::optional
                                               : http::ClientCertificates::none;
  client_ca_ = config.tls_client_ca;
  if (self_signed) {
    material = read(error);  // whom clients must be known by
    const auto made = http::self_signed(host, error);
    if (!error.empty()) material.reset();
    if (material) material->certificate = made.certificate, material->key = made.key;
  } else if (!config.tls_cert.empty()) {
    certificate_ = config.tls_cert;
    key_ = config.tls_key;
    material = read(error);
  } else {
    return begun;
  }
  if (material) begun.tls = http::TlsContext::make(*material, error);
  if (!begun.tls) {
    logger_.error("cannot serve TLS", {{"certificate", certificate_}, {"key", key_}, {"cause", error}});
    begun.good = false;
    return begun;
  }
  seen_ = serving_ = hash_of(*material);
  say(*begun.tls, self_signed ? "TLS with a self-signed certificate, made now and gone with this process" : "TLS");
  return begun;
}

Certificate::Look Certificate::look(bool again) {
  Look look;
  if (certificate_.empty()) return look;
  std::string error;
  const auto material = read(error);
  const std::size_t there = material ? hash_of(*material) : std::hash<std::string>()(error);
  if (there == serving_) {
    seen_ = there;
    return look;
  }
  if (there == seen_ && !again) return look;
  seen_ = there;
  if (material) look.tls = http::TlsContext::make(*material, error);
  if (!look.tls) {
    look.change = Change::refused;
    logger_.warning("another certificate was found and is not taken; the old one is served on",
                    {{"certificate", certificate_}, {"key", key_}, {"cause", error}});
    return look;
  }
  serving_ = there;
  look.change = Change::taken;
  say(*look.tls, "TLS with another certificate, for new connections");
  return look;
}

}  // namespace tidemill::cli
