#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tidemill::http {

// nullopt: a `%` without two hex digits, or a zero byte. `plus_is_space`: as in a query.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space = false);

// "a.example:80", "[::1]:80", "": host and port of RFC 3986, as far as their characters go.
bool valid_host(std::string_view text);

// The absolute form of a target ("http://a:80/path?query"), as a proxy is asked: what comes before the path names us.
// Leaves what comes after it, maybe nothing. False: it is not that form.
bool drop_authority(std::string_view& target);

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
