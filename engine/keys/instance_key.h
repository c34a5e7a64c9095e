#pragma once

#include <string>
#include <string_view>

#include "engine/keys/keys.h"

namespace tidemill {

// DATA/instance.key: 32 random bytes that encrypt (AES-256-GCM) the few secrets that must be read again. Read for each
// use and forgotten, so that it is not in memory when nobody needs it. Has no state: any thread, one call at a time.
class InstanceKey {
 public:
  InstanceKey(Env& env, std::string directory, PrivateFiles& files)
      : env_(env), directory_(std::move(directory)), files_(files) {}

  // 12 bytes of nonce, the secret's, 16 of tag; good only for that `name`. Makes the key, durable before it returns,
  // where there is none and `may_make`. KeyErrc::instance_key_open, instance_key_gone; errors of the disk. Blocks.
  Result<std::string> seal(std::string_view secret, std::string_view name, bool may_make);
  Result<SecretText> open(std::string_view sealed, std::string_view name);

 private:
  Result<SecretText> load(bool may_make);
  Result<void> make(const std::string& path);

  Env& env_;
  const std::string directory_;
  PrivateFiles& files_;
};

}  // namespace tidemill
