#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "tools/cli/config/config.h"

namespace tidemill::cli {

enum class KeyType { text, choice, boolean, integer, size, duration, address };

// One key of the configuration. `T` is where its value goes: Config, StreamConfig or ViewConfig.
template <class T>
struct Key {
  std::string_view name;  // "limits.memory"; below [streams.NAME]: "archive.size"
  KeyType type;
  std::string_view default_value;  // as a user would write it, without quotes; empty for text: none
  std::variant<std::string T::*, std::uint64_t T::*, std::chrono::milliseconds T::*, bool T::*> member;
  std::uint64_t min = 0;  // bytes, milliseconds or the number itself; of text: its length
  std::uint64_t max = ~std::uint64_t{0};
  std::string_view choices = {};  // "debug info warning error"
  bool off = false;               // of a size or a duration: "off" is a value, kept as 0
  bool live = false;              // SIGHUP takes it over; else it needs a restart
  std::string_view comment = {};
};

std::span<const Key<Config>> config_keys();
std::span<const Key<StreamConfig>> stream_keys();  // `fields`, a table of names and types, is beside them
std::span<const Key<ViewConfig>> view_keys();
std::string_view fields_comment();

// The value as its key's type wants it, or a sentence why not.
template <class T>
std::optional<std::string> set_from_text(const Key<T>& key, std::string_view text, T& into);
// As a TOML value: "256MiB" with quotes, 10000 without.
template <class T>
std::string get_as_toml(const Key<T>& key, const T& from);
template <class T>
void set_defaults(std::span<const Key<T>> keys, T& into);

// "TIDEMILL_LIMITS_MEMORY"
std::string environment_name(std::string_view key);
// The known name that looks most like it; empty: none does.
std::string_view nearest(std::string_view name, std::span<const std::string_view> known);

}  // namespace tidemill::cli
