#include "tools/cli/rows.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace tidemill::cli {

Cell cell_of(const nlohmann::ordered_json& value) {
  if (value.is_null()) return {};
  if (value.is_string()) return {value.get<std::string>(), false};
  return {value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), value.is_number()};
}

std::string table_of_objects(const nlohmann::ordered_json& array) {
  std::vector<std::string> names;
  std::vector<std::vector<Cell>> rows;
  for (const auto& object : array) {
    if (!object.is_object()) continue;
    for (const auto& [name, value] : object.items())
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  if (names.empty()) return {};
  for (const auto& object : array) {
    auto& row = rows.emplace_back();
    for (const std::string& name : names) row.push_back(object.contains(name) ? cell_of(object[name]) : Cell{});
  }
  return format_table(names, rows, terminal_width());
}

std::string members_of_object(const nlohmann::ordered_json& object) {
  std::size_t width = 0;
  for (const auto& [name, value] : object.items()) width = std::max(width, display_width(name));
  std::string out;
  for (const auto& [name, value] : object.items()) {
    out += name + std::string(width - display_width(name) + 2, ' ');
    if (value.is_array() && !value.empty() && value.front().is_object()) {
      out += '\n';
      std::string table = table_of_objects(value);
      std::size_t at = 0;
      while (at < table.size()) {
        const std::size_t end = table.find('\n', at);
        out += "  " + table.substr(at, end - at + 1);
        at = end + 1;
      }
    } else {
      out += cell_of(value).text + "\n";
    }
  }
  return out;
}

}  // namespace tidemill::cli
