#include "engine/keys/instance_key.h"

#include <openssl/evp.h>

#include <cstring>
#include <span>

#include "storage/base/check.h"
#include "storage/base/logger.h"
#include "storage/seam/file_system.h"

namespace tidemill {
namespace {

constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kNonceBytes = 12;
constexpr std::size_t kTagBytes = 16;

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}

struct Context {
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  Context() { CHECK(context != nullptr); }
  ~Context() { EVP_CIPHER_CTX_free(context); }  // clears the key schedule
};

void append_random(std::string& out, std::size_t n, Random& random) {
  for (std::size_t i = 0; i < n; i += 8) {
    const std::uint64_t bits = random.next();
    out.append(reinterpret_cast<const char*>(&bits), std::min<std::size_t>(8, n - i));
  }
}

}  // namespace

Result<void> InstanceKey::make(const std::string& path) {
  const std::string aside = path + ".tmp";
  if (exists(env_.files, aside)) RETURN_IF_ERROR(env_.files.remove(aside));  // a crash left it; nobody used it
  RETURN_IF_ERROR(files_.create(aside));
  ASSIGN_OR_RETURN(const auto file, env_.files.open(aside, OpenMode::write));
  SecretText key;
  key.raw().reserve(kKeyBytes);
  append_random(key.raw(), kKeyBytes, env_.random);
  RETURN_IF_ERROR(file->write_at(ByteOffset(0), std::as_bytes(std::span(key.raw()))));
  RETURN_IF_ERROR(file->sync_data());
  RETURN_IF_ERROR(env_.files.rename(aside, path));
  return env_.files.sync_directory(directory_);
}

Result<SecretText> InstanceKey::load(bool may_make) {
  const std::string path = directory_ + "/instance.key";
  ASSIGN_OR_RETURN(const bool there, is_there(env_.files, path));
  if (!there && !may_make) {
    env_.logger.error(
        "the secrets of keys of kind aws cannot be read: their encryption key is missing. Put the file back from where "
        "the directory came from, or revoke these keys and make new ones.",
        {{"file", path}});
    return KeyErrc::instance_key_gone;
  }
  if (!there) RETURN_IF_ERROR(make(path));
  ASSIGN_OR_RETURN(const bool open, files_.open_to_others(path));
  if (open) {
    env_.logger.error(
        "others than its owner may read or write the encryption key of secrets: chmod 600 it, and if that may have "
        "happened, revoke the keys of kind aws",
        {{"file", path}});
    return KeyErrc::instance_key_open;
  }
  ASSIGN_OR_RETURN(std::string read, read_file(env_.files, path, 4096));
  SecretText key(read);
  wipe(read);
  if (key.view().size() != kKeyBytes) {
    env_.logger.error("this is not an encryption key of ours: it must be 32 bytes. Put the right file back.",
                      {{"file", path}});
    return KeyErrc::instance_key_gone;
  }
  return key;
}

Result<std::string> InstanceKey::seal(std::string_view secret, std::string_view name, bool may_make) {
  ASSIGN_OR_RETURN(const SecretText key, load(may_make));
  std::string out;
  append_random(out, kNonceBytes, env_.random);
  out.resize(kNonceBytes + secret.size() + kTagBytes);
  const Context c;
  int n = 0;
  CHECK(EVP_EncryptInit_ex(c.context, EVP_aes_256_gcm(), nullptr, bytes(key.view()), bytes(out)) == 1);
  CHECK(EVP_EncryptUpdate(c.context, nullptr, &n, bytes(name), static_cast<int>(name.size())) == 1);
  CHECK(EVP_EncryptUpdate(c.context, bytes(out) + kNonceBytes, &n, bytes(secret), static_cast<int>(secret.size())) ==
        1);
  CHECK(EVP_EncryptFinal_ex(c.context, bytes(out) + kNonceBytes + n, &n) == 1);
  CHECK(EVP_CIPHER_CTX_ctrl(c.context, EVP_CTRL_GCM_GET_TAG, kTagBytes, bytes(out) + kNonceBytes + secret.size()) == 1);
  return out;
}

Result<SecretText> InstanceKey::open(std::string_view sealed, std::string_view name) {
  ASSIGN_OR_RETURN(const SecretText key, load(false));
  if (sealed.size() < kNonceBytes + kTagBytes) return KeyErrc::instance_key_gone;
  const std::string_view nonce = sealed.substr(0, kNonceBytes);
  std::string tag(sealed.substr(sealed.size() - kTagBytes));
  const std::string_view text = sealed.substr(kNonceBytes, sealed.size() - kNonceBytes - kTagBytes);
  SecretText secret;
  secret.raw().resize(text.size());
  const Context c;
  int n = 0;
  CHECK(EVP_DecryptInit_ex(c.context, EVP_aes_256_gcm(), nullptr, bytes(key.view()), bytes(nonce)) == 1);
  CHECK(EVP_DecryptUpdate(c.context, nullptr, &n, bytes(name), static_cast<int>(name.size())) == 1);
  CHECK(EVP_DecryptUpdate(c.context, bytes(secret.raw()), &n, bytes(text), static_cast<int>(text.size())) == 1);
  CHECK(EVP_CIPHER_CTX_ctrl(c.context, EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()) == 1);
  if (EVP_DecryptFinal_ex(c.context, bytes(secret.raw()) + n, &n) == 1) return secret;
  env_.logger.error(
      "the secret of a key of kind aws was encrypted with another key than the one that is there, or altered: put the "
      "right instance.key back, or revoke the key and make a new one",
      {{"file", directory_ + "/instance.key"}, {"key", std::string(name)}});
  return KeyErrc::instance_key_gone;
}

}  // namespace tidemill
