#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "engine/rejection.h"

namespace tidemill {

// simdjson's one home in engine for records: says whether one JSON text is a record, and finds its partition key. Keeps
// its memory for texts up to 64 KiB; larger ones get memory of their own and give it back. One thread at a time.
class Validator {
 public:
  static constexpr std::size_t kPadding = 64;  // readable bytes behind a text, and writable ones behind a minified one

  Validator();
  ~Validator();

  // A key field's value: text is valid until the next call. A number or boolean gives no text but its place among the
  // object's members, for its spelling is the source's.
  struct Key {
    std::string_view text;
    std::optional<std::size_t> member;
  };
  // nullopt: a record. `padded`: kPadding bytes behind the text may be read. `key` is set if key_field is not empty.
  std::optional<Rejection> validate(std::string_view text, bool padded, std::string_view key_field, Key& key);

  // Removes white space between tokens; `into` has room for text.size() + kPadding. nullopt: an unclosed string.
  static std::optional<std::size_t> minify(std::string_view text, char* into);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// 1 to 256 characters of valid UTF-8.
bool valid_partition_key(std::string_view key);

}  // namespace tidemill
