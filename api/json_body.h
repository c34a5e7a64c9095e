#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "api/json_input.h"

namespace tidemill {

// The JSON of a body other than records, or why there is none. For the few files that read such bodies only: the
// library's header is heavy.
class JsonBody {
 public:
  struct Depth {
    std::size_t most = 16;
    // Objects and arrays within more of them than this are read over and stay empty, their names unchecked: for a
    // record, which somebody else judges as it is spelled.
    std::size_t kept = most;
  };
  // Takes time and memory in proportion to `text`, whatever is in it. None if it is not JSON, is nested deeper than
  // `depth.most`, or has an object that names a member twice: readers of JSON differ in which of the two counts.
  static JsonBody parse(std::string_view text, Depth depth);
  static JsonBody parse(std::string_view text) { return parse(text, Depth()); }

  explicit operator bool() const { return json_.has_value(); }
  const nlohmann::json& operator*() const { return *json_; }
  const nlohmann::json* operator->() const { return &*json_; }

  // What parse() found wrong; where it is no JSON, or not what was hoped for, `shape`: what it should be.
  InputError error(const char* shape) const { return {fault_.empty() ? shape : fault_}; }

 private:
  std::optional<nlohmann::json> json_;
  std::string fault_;
};

// A name or text of the client's for a sentence: short, and as it would stand between the quotes of a JSON text.
std::string quoted(const std::string& name);

}  // namespace tidemill
