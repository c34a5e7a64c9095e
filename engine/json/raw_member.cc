#include "engine/json/raw_member.h"

#include <simdjson.h>

namespace tidemill {

std::optional<std::string> raw_member(std::string_view object, std::string_view name) {
  const simdjson::padded_string padded(object);
  simdjson::ondemand::parser parser;
  try {
    simdjson::ondemand::document document = parser.iterate(padded);
    for (auto field : document.get_object()) {
      const std::string_view found = field.unescaped_key();
      if (found != name) continue;
      const std::string_view raw = simdjson::to_json_string(field.value());
      return std::string(raw);
    }
  } catch (const simdjson::simdjson_error&) {
  }
  return std::nullopt;
}

}  // namespace tidemill
