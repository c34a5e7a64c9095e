#include "api/http/tls_tickets.h"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <cstring>
#include <span>

#include "api/http/openssl.h"

namespace tidemill::http {
namespace {

// OpenSSL asks for keys: 1 found, 2 found and to be renewed, 0 none, -1 an error.
int choose_key(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac, int seal) {
  auto& keys = *static_cast<TicketKeys*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  const auto now = std::chrono::steady_clock::now();
  TicketKeys::Key key;
  bool renew = false;
  if (seal) {
    if (!keys.current(now, key) || RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1) return -1;
    std::memcpy(name, key.name.data(), key.name.size());
  } else if (!keys.find(name, now, key, renew)) {
    return 0;
  }
  char digest[] = "SHA256";
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.mac.data(), key.mac.size()),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_end(),
  };
  const auto init = seal ? EVP_EncryptInit_ex : EVP_DecryptInit_ex;
  if (init(cipher, EVP_aes_256_cbc(), nullptr, key.cipher.data(), iv) != 1 || EVP_MAC_CTX_set_params(mac, params) != 1)
    return -1;
  return renew ? 2 : 1;
}

}  // namespace

void TicketKeys::attach(ssl_ctx_st* context) {
  SSL_CTX_set_app_data(context, this);
  SSL_CTX_set_tlsext_ticket_key_evp_cb(context, choose_key);
}

bool TicketKeys::current(Time now, Key& key) {
  const std::lock_guard lock(mutex_);
  if (keys_.empty() || now - keys_.front().made >= kLife) {
    Key fresh;
    fresh.made = now;
    for (const auto part : {std::span<unsigned char>(fresh.name), std::span<unsigned char>(fresh.cipher),
                            std::span<unsigned char>(fresh.mac)}) {
      if (RAND_bytes(part.data(), static_cast<int>(part.size())) != 1) return false;
    }
    keys_.insert(keys_.begin(), fresh);
    if (keys_.size() > 2) keys_.resize(2);
  }
  key = keys_.front();
  return true;
}

bool TicketKeys::find(const unsigned char* name, Time now, Key& key, bool& renew) {
  const std::lock_guard lock(mutex_);
  for (const Key& k : keys_) {
    if (std::memcmp(k.name.data(), name, k.name.size()) != 0) continue;
    if (now - k.made >= 2 * kLife) return false;
    renew = now - k.made >= kLife;
    key = k;
    return true;
  }
  return false;
}

}  // namespace tidemill::http
