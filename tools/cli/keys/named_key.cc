#include "tools/cli/keys/named_key.h"

#include <cctype>

namespace tidemill::cli {
namespace {

// Longer texts are not shown: the secret of a key of kind aws has 40 characters, that of a key's text 36.
constexpr std::size_t kShownMax = 30;
constexpr std::size_t kIdSize = 13;

bool is_digit(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0;
}

}  // namespace

std::optional<KeyId> named_key(std::string_view text, std::string& error) {
  if (const auto id = parse_key_id(text)) return id;
  if (const auto id = key_id_of(text)) {
    error = "that is the key itself; its id is " + to_text(*id) +
            ". What is on a command line is seen by others of this machine and kept in the shell's history: "
            "`tidemill keys rotate " +
            to_text(*id) + "` gives it another secret";
  } else if (const auto of_access_key = parse_access_key(text)) {
    error = "that is an access key id; the key's id is " + to_text(*of_access_key);
  } else if (text.starts_with(kKeyPrefix)) {
    error = "that looks like a key itself; its id is the " + std::to_string(kIdSize) +
            " characters between its underscores, and `tidemill keys list` shows them";
  } else {
    const std::string shown = text.size() <= kShownMax ? "'" + std::string(text) + "'" : "what was given";
    error = shown + " is not the id of a key; `tidemill keys list` shows them";
  }
  return std::nullopt;
}

std::string without_keys(std::string message) {
  for (std::size_t at = message.find(kKeyPrefix); at != std::string::npos; at = message.find(kKeyPrefix, at + 1)) {
    const std::size_t secret = at + kKeyPrefix.size() + kIdSize + 1;
    if (secret >= message.size() || message[secret - 1] != '_') continue;
    std::size_t end = secret;
    while (end < message.size() && is_digit(message[end])) ++end;
    message.replace(secret, end - secret, "...");
  }
  return message;
}

}  // namespace tidemill::cli
