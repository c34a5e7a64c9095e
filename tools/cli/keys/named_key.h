#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/keys/key_text.h"

namespace tidemill::cli {

// The id of a key from a command line. Somebody may have put the key itself there: it is then neither used nor shown,
// and `error` says which id it has.
std::optional<KeyId> named_key(std::string_view text, std::string& error);

// A message with the secret of every key in it left out.
std::string without_keys(std::string message);

}  // namespace tidemill::cli
