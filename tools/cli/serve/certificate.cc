#include "tools/cli/serve/certificate.h"

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
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

bool key_is_exposed(unsigned mode, unsigned owner, unsigned user) {
  if (owner == 0) return (mode & (S_IWGRP | S_IXGRP | S_IRWXO)) != 0;
  return owner != user || (mode & (S_IRWXG | S_IRWXO)) != 0;
}

std::optional<ExposedKey> exposed_key(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return std::nullopt;  // to be read it was there: it is being replaced
  if (!key_is_exposed(info.st_mode, info.st_uid, ::geteuid())) return std::nullopt;
  char mode[8];
  std::snprintf(mode, sizeof mode, "%04o", static_cast<unsigned>(info.st_mode & 07777));
  // Of another's file that mode would leave the server without its key.
  return ExposedKey{mode, info.st_uid == ::geteuid()
                              ? "chmod 600 " + path
                              : "give it to root and the server's group (chown root:GROUP), then chmod 640 " + path};
}

void Certificate::warn_of_key() const {
  if (key_.empty()) return;
  const auto exposed = exposed_key(key_);
  if (!exposed) return;
  logger_.warning(
      "others than the server may read its private key (server.tls_key), or change it: whoever has it can pass for "
      "this server. Make another one where that may have happened.",
      {{"key", key_}, {"mode", exposed->mode}, {"remedy", exposed->remedy}});
}

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
  warn_of_key();
  say(*begun.tls, self_signed ? "TLS with a self-signed certificate, made now and gone with this process" : "TLS");
  return begun;
}

Certificate::Look Certificate::look(bool again) {
  Look look;
  if (certificate_.empty()) return look;
  if (again) warn_of_key();
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
  if (!again) warn_of_key();
  look.change = Change::taken;
  say(*look.tls, "TLS with another certificate, for new connections");
  return look;
}

}  // namespace tidemill::cli
