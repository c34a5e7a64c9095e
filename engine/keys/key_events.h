#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/keys/keys.h"

namespace tidemill {

// The `key.*` events as JSON (docs/formats/system-stream.md). Decoding: nullopt where it is not an event of this
// version; that must not be passed over. Names that it does not know it ignores.
struct KeyProof {               // what is kept of a secret
  std::optional<KeyHash> hash;  // api
  std::string sealed;           // aws: encrypted (instance_key.h)
};
struct KeyCreated {
  KeyRecord key;
  KeyProof proof;
  std::optional<KeyId> by;
};
struct KeyRotated {
  KeyId id;
  KeyProof proof;
  WallTime older_until{};
  std::optional<KeyId> by;
};
struct KeyRevoked {
  KeyId id;
  WallTime at{};
  std::optional<KeyId> by;
};
struct KeyBound {
  KeyId id;
  KeyCertificate certificate;
  std::optional<KeyId> by;
};
struct KeyUnbound {
  KeyId id;
  KeyHash sha256{};
  WallTime at{};
  std::optional<KeyId> by;
};
struct KeysUsed {
  std::vector<std::pair<KeyId, std::uint32_t>> minutes;  // since 1970
};

std::string encode(const KeyCreated& event);
std::string encode(const KeyRotated& event);
std::string encode(const KeyRevoked& event);
std::string encode(const KeyBound& event);
std::string encode(const KeyUnbound& event);
std::string encode(const KeysUsed& event);

// One thread at a time: a start may read millions.
class KeyEventReader {
 public:
  KeyEventReader();
  ~KeyEventReader();
  std::optional<KeyCreated> created(std::string_view json);
  std::optional<KeyRotated> rotated(std::string_view json);
  std::optional<KeyRevoked> revoked(std::string_view json);
  std::optional<KeyBound> bound(std::string_view json);
  std::optional<KeyUnbound> unbound(std::string_view json);
  std::optional<KeysUsed> used(std::string_view json);

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

}  // namespace tidemill
