#include "consumers/views/warnings.h"

namespace tidemill::views {

void ArithmeticWarnings::look(const Parts& parts, std::vector<std::string>& warnings) {
  if (fields_.empty()) return;
  auto is_arithmetic = [&](std::size_t i) {
    return i < parts.size() &&
           (parts[i].is("*") || parts[i].is("+") || parts[i].is("-") || parts[i].is("/") || parts[i].is("%"));
  };
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].kind != Part::Kind::column || !(is_arithmetic(i + 1) || (i > 0 && is_arithmetic(i - 1)))) continue;
    const std::string& field = parts[i].text;
    auto it = fields_.find(field);
    bool number = field == "_sequence" || (it != fields_.end() && it->second != FieldType::text);
    if (number || !named_.insert(field).second) continue;
    warnings.push_back("The stream does not declare " + field +
                       " as a number, and SQL counts with text as if it were 0: write number(" + field +
                       "), which sets such a record aside instead.");
  }
}

}  // namespace tidemill::views
