#pragma once

#include <chrono>
#include <string_view>

#include "api/json_input.h"
#include "engine/keys/keys.h"

namespace tidemill {

// POST /v1/keys. `tenant`: where the body names none.
Input<WantedKey> parse_key_wanted(std::string_view json, std::string_view tenant);
// POST /v1/keys/{id}/rotate: {"grace_seconds":N}, or nothing: a day.
Input<std::chrono::seconds> parse_key_rotation(std::string_view json);

// Of a body {"certificate":PEM}. Good at `now`.
Input<KeyCertificate> parse_key_certificate(std::string_view text, WallTime now);

}  // namespace tidemill
