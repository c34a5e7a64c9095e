#include "consumers/views/lookup.h"

#include <sqlite3.h>

#include <algorithm>

#include "consumers/views/query_explain.h"
#include "consumers/views/row_statement.h"

namespace tidemill::views {
namespace {

constexpr std::string_view kTable = "look";

std::string key_columns(const View& view) {
  const Definition& definition = view.definition();
  std::string out;
  for (std::size_t i = 0; i < definition.groups.size(); ++i) {
    std::string name;
    for (const OutputColumn& c : definition.columns)
      if (c.source == OutputColumn::Source::group && c.index == i) name = c.name;
    if (name.empty()) break;  // no column shows it, so none can be compared
    out += (out.empty() ? "" : ", ") + name;
  }
  return out;
}

std::string not_bound(const View& view, NumericCasts casts) {
  const std::string keys = key_columns(view);
  if (keys.empty())
    return "The view " + view.name() +
           " does not show the first term of its key, so its rows cannot be looked up: add that column to it.";
  const std::string first = keys.substr(0, keys.find(','));
  std::string out = "A lookup needs the row's key: compare " + first + " of " + view.name() + " by = with a value of " +
                    "the record, in ON or beside AND in WHERE";
  out += keys == first ? "." : "; the key is " + keys + ", of which the first columns are enough.";
  if (casts != NumericCasts::none)
    out += " A CAST to a number there compares text as numbers, which no key is found by: write number(x).";
  out += " Anything else reads the whole view for each record: join when reading.";
  return out;
}

}  // namespace

std::string lookup_table(std::uint32_t index) {
  return std::string(kTable) + std::to_string(index + 1);
}

bool is_lookup_table(std::string_view name) {
  return name.starts_with(kTable) && name.size() > kTable.size() &&
         name.find_first_not_of("0123456789", kTable.size()) == name.npos;
}

std::variant<std::vector<LookupPlan>, PrepareError> lookup_plans(Connection& connection, BatchTable& table,
                                                                 const std::string& sql, const LookedUp& lookups) {
  sqlite3_stmt* raw = nullptr;
  table.lookups->explain = true;
  const int prepared =
      sqlite3_prepare_v2(connection.handle(), ("EXPLAIN QUERY PLAN " + sql).c_str(), -1, &raw, nullptr);
  table.lookups->explain = false;
  const Statement statement(raw);
  if (prepared != SQLITE_OK) return PrepareError{"SQL: " + connection.error() + "."};
  std::vector<std::optional<LookupPlan>> found(lookups.size());
  std::vector<bool> seen(lookups.size());
  bool batch_first = false;
  bool first = true;
  while (sqlite3_step(raw) == SQLITE_ROW) {
    const bool top = sqlite3_column_int(raw, 1) == 0;
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(raw, 3));
    std::string_view detail = text == nullptr ? "" : text;
    if (std::exchange(first, false)) batch_first = detail.starts_with("SCAN batch ");
    if (!detail.starts_with("SCAN ")) continue;
    detail.remove_prefix(5);
    const std::string_view name = detail.substr(0, detail.find(' '));
    const std::size_t words = detail.find(kInWords);
    if (!is_lookup_table(name) || words == detail.npos) continue;
    const std::size_t index = std::stoul(std::string(name.substr(kTable.size()))) - 1;
    seen.at(index) = true;
    if (!top) continue;  // one of several readings, of an OR
    // VIRTUAL TABLE INDEX 1:A3:E0,E1,|one row of ...
    std::string_view plan = detail.substr(0, words);
    plan = plan.substr(plan.rfind(':') + 1);
    const std::size_t terms = lookups[index]->definition().groups.size();
    std::size_t fixed = 0;
    for (std::size_t at = 0; at < plan.size() && (plan[at] == 'E' || plan[at] == 'N'); ++fixed)
      at = plan.find(',', at) + 1;
    if (fixed == 0 && terms > 0) continue;
    std::string_view said = detail.substr(words + 1);
    if (said.ends_with(" LEFT-JOIN")) said.remove_suffix(10);
    found[index] = LookupPlan{fixed == terms, std::string(said)};
  }
  std::vector<LookupPlan> out;
  for (std::uint32_t i = 0; i < lookups.size(); ++i) {
    if (found[i]) {
      out.push_back(std::move(*found[i]));
    } else if (!seen[i]) {
      return PrepareError{"Nothing is made of " + lookups[i]->name() + ": use a column of it, or leave it out.", -1, i};
    } else {
      return PrepareError{not_bound(*lookups[i], table.lookups->casts), -1, i};
    }
  }
  if (!batch_first)
    return PrepareError{
        "The records would not be read one by one: compare the key columns of the views that are "
        "looked up with fields, by = alone.",
        -1, 0};
  return out;
}

}  // namespace tidemill::views
