#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "consumers/views/parts.h"
#include "engine/stream.h"

namespace tidemill::views {

// Finds fields that are counted with (+ - * / %) although the stream does not declare them as numbers. SQLite counts
// with text as if it were 0, or the number it begins with.
class ArithmeticWarnings {
 public:
  explicit ArithmeticWarnings(const std::map<std::string, FieldType, std::less<>>& fields) : fields_(fields) {}
  // Adds a sentence for each such field that was not named before. None where the stream declares nothing.
  void look(const Parts& parts, std::vector<std::string>& warnings);

 private:
  const std::map<std::string, FieldType, std::less<>>& fields_;
  std::set<std::string> named_;
};

}  // namespace tidemill::views
