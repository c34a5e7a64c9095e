#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "storage/base/ids.h"

namespace tidemill::views {

// The JSON of the system stream's events `view.created` and `view.dropped` (docs/formats/system-stream.md).
struct ViewCreated {
  std::string name;
  StreamId stream;
  std::string source;  // as it was given: the text, or builtin:NAME
  std::string sql;     // the text that counts, also where a later version ships another builtin
};
std::string encode_created(const ViewCreated& event);
std::optional<ViewCreated> decode_created(std::string_view json);
std::string encode_dropped(std::string_view name);
std::optional<std::string> decode_dropped(std::string_view json);

}  // namespace tidemill::views
