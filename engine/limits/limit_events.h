#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/keys/key_text.h"
#include "engine/limits/limit_set.h"

namespace tidemill {

// Whose limits: a key's or a tenant's.
struct LimitOwner {
  std::optional<KeyId> key;
  std::string tenant;  // whose they are where it is no key; of a key where it is known, which is never needed
};

// The `limits.*` events as JSON (docs/formats/system-stream.md). What `limits.set` says is all that the owner has from
// then on. Decoding: nullopt where it is not an event of this version; to pass over one could lift a limit.
struct LimitsSet {
  LimitOwner owner;
  LimitSet limits;
  std::optional<KeyId> by;  // none: somebody on the machine itself
};
struct LimitsRemoved {
  LimitOwner owner;
  std::optional<KeyId> by;
};

std::string encode(const LimitsSet& event);
std::string encode(const LimitsRemoved& event);
std::optional<LimitsSet> decode_limits_set(std::string_view json);
std::optional<LimitsRemoved> decode_limits_removed(std::string_view json);

}  // namespace tidemill
