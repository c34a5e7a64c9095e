#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tidemill::http {

// nullopt: a `%` without two hex digits, or a zero byte. `plus_is_space`: as in a query.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space = false);

// name=value pairs of a query, decoded. nullopt: broken encoding.
class Query {
 public:
  static std::optional<Query> parse(std::string_view text);
  std::optional<std::string_view> get(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& all() const { return pairs_; }
  // The first name that comes twice; nullptr: none does.
  const std::string* repeated() const;

 private:
  std::vector<std::pair<std::string, std::string>> pairs_;
};

}  // namespace tidemill::http
