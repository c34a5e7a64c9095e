#include "api/views/key_input.h"

#include <charconv>
#include <cmath>

#include "api/http/target.h"
#include "api/json_input.h"

namespace tidemill {
namespace {

// Text of a path or a query as a value of the column's type. nullopt: it is none.
std::optional<views::Value> typed(const std::string& type, const std::string& text) {
  if (type == "integer") {
    std::int64_t n = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return views::Value(n);
  }
  if (type == "real") {
    double d = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), d);
    if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(d)) return std::nullopt;
    return views::Value(d);
  }
  return views::Value(text);
}

std::vector<const views::Column*> key_columns(const views::ViewInfo& info) {
  std::vector<const views::Column*> keys;
  for (const views::Column& c : info.columns) {
    if (c.key) keys.push_back(&c);
  }
  return keys;
}

// Where a key column may hold text and numbers, `2011` in a path may mean either: what is looked for, text first.
std::vector<views::Row> meanings(const views::ViewInfo& info, const views::Row& key) {
  std::vector<views::Row> rows{key};
  const auto keys = key_columns(info);
  for (std::size_t i = 0; i < key.size() && rows.size() <= 8; ++i) {
    const auto* text = std::get_if<std::string>(&key[i]);
    if (!text || i >= keys.size() || keys[i]->type != "any") continue;
    auto number = typed("integer", *text);
    if (!number) number = typed("real", *text);
    if (!number) continue;
    for (std::size_t n = rows.size(), r = 0; r < n; ++r) {
      rows.push_back(rows[r]);
      rows.back()[i] = *number;
    }
  }
  return rows;
}

}  // namespace

// Values joined by commas; each is percent-decoded if the text is still as sent. Or a JSON array.
std::optional<views::Row> key_of(const views::ViewInfo& info, std::string_view text, bool encoded) {
  if (!encoded && text.starts_with('[')) {
    auto input = parse_key_input(text);
    auto* row = std::get_if<views::Row>(&input);
    // None is the key of the one row of a view without GROUP BY.
    if (row == nullptr || (row->empty() && info.key_columns != 0)) return std::nullopt;
    return std::move(*row);
  }
  const auto keys = key_columns(info);
  views::Row row;
  for (std::size_t i = 0;; ++i) {
    if (i >= std::max(keys.size(), info.key_columns)) return std::nullopt;
    const std::size_t comma = text.find(',');
    std::string_view part = text.substr(0, comma);
    auto decoded = encoded ? http::percent_decode(part) : std::string(part);
    if (!decoded) return std::nullopt;
    auto value = typed(i < keys.size() ? keys[i]->type : "text", *decoded);
    if (!value) return std::nullopt;
    row.push_back(std::move(*value));
    if (comma == std::string_view::npos) return row;
    text.remove_prefix(comma + 1);
  }
}

std::vector<views::Row> key_of(Call& call, const views::ViewInfo& info, std::string_view raw_key) {
  const auto json_key = call.query.get("key");
  const bool from_query = json_key && raw_key.empty();
  auto key = from_query ? key_of(info, *json_key, false) : key_of(info, raw_key, true);
  if (!key || key->size() != info.key_columns) return {};
  const bool spelled_out = from_query && json_key->starts_with('[');
  return spelled_out ? std::vector<views::Row>{std::move(*key)} : meanings(info, *key);
}

std::optional<views::RangeOptions> bounds_of(const views::ViewInfo& info, const http::Query& query) {
  views::RangeOptions options;
  if (const auto prefix = query.get("prefix")) options.prefix = std::string(*prefix);
  for (const bool lower : {true, false}) {
    const auto text = query.get(lower ? "from" : "to");
    if (!text) continue;
    auto key = key_of(info, *text, false);
    if (!key || key->empty() || key->size() > info.key_columns) return std::nullopt;
    (lower ? options.from : options.to) = std::move(*key);
  }
  return options;
}

}  // namespace tidemill
