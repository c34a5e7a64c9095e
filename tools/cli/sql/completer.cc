#include "tools/cli/sql/completer.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <set>

#include "tools/cli/sql/statements.h"

namespace tidemill::cli {
namespace {

constexpr std::array kKeywords{
    "ALL",          "AND",       "AS",        "ASC",      "BETWEEN", "BY",     "CASE",   "CAST",   "COLLATE",
    "CREATE",       "CROSS",     "DESC",      "DISTINCT", "DROP",    "ELSE",   "END",    "ESCAPE", "EXCEPT",
    "EXISTS",       "EXPLAIN",   "FILTER",    "FIRST",    "FROM",    "FULL",   "GLOB",   "GROUP",  "HAVING",
    "IN",           "INNER",     "INTERSECT", "IS",       "JOIN",    "LAST",   "LEFT",   "LIKE",   "LIMIT",
    "MATERIALIZED", "NOT",       "NULL",      "NULLS",    "OFFSET",  "ON",     "OR",     "ORDER",  "OUTER",
    "OVER",         "PARTITION", "PLAN",      "QUERY",    "RIGHT",   "SELECT", "STREAM", "THEN",   "UNION",
    "USING",        "VALUES",    "VIEW",      "WHEN",     "WHERE",   "WINDOW", "WITH"};
constexpr std::array kFunctions{
    "abs(",          "avg(",    "coalesce(",  "count(",   "date(",  "datetime(",   "dense_rank(",   "first_value(",
    "group_concat(", "ident(",  "ifnull(",    "iif(",     "instr(", "json_each(",  "json_extract(", "lag(",
    "last_value(",   "lead(",   "length(",    "lower(",   "ltrim(", "max(",        "min(",          "nullif(",
    "number(",       "printf(", "rank(",      "replace(", "round(", "row_number(", "rtrim(",        "strftime(",
    "substr(",       "sum(",    "timestamp(", "total(",   "trim(",  "typeof(",     "upper("};
constexpr std::array kCommands{"\\d", "\\format", "\\help", "\\quit", "\\timing"};

bool word_char(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

bool begins(std::string_view text, std::string_view prefix) {
  return lower(text.substr(0, prefix.size())) == lower(prefix);
}

// As it is written in SQL: in double quotes where it is no plain name.
std::string written(const std::string& name) {
  const bool plain = !name.empty() && !std::isdigit(static_cast<unsigned char>(name[0])) &&
                     std::all_of(name.begin(), name.end(), word_char);
  if (plain) return name;
  std::string out = "\"";
  for (const char c : name) out.append(c == '"' ? 2 : 1, c);
  return out + '"';
}

// Names and words, and single characters between them.
std::vector<std::string> tokens_of(std::string_view text) {
  std::vector<std::string> tokens;
  for (std::size_t i = 0; i < text.size();) {
    if (std::isspace(static_cast<unsigned char>(text[i]))) {
      ++i;
      continue;
    }
    std::size_t end = i + 1;
    if (text[i] == '\'' || text[i] == '"') {
      end = std::min(text.find(text[i], i + 1), text.size() - 1) + 1;
    } else if (word_char(text[i])) {
      while (end < text.size() && word_char(text[end])) ++end;
    }
    tokens.emplace_back(text.substr(i, end - i));
    i = end;
  }
  return tokens;
}

const ViewWords* find(const std::vector<ViewWords>& views, const std::string& name) {
  const auto found =
      std::find_if(views.begin(), views.end(), [&](const auto& v) { return lower(v.name) == lower(name); });
  return found == views.end() ? nullptr : &*found;
}

// The view that `name` means here: its own name, or what stands behind it (FROM customers AS c).
const ViewWords* meant(const std::vector<ViewWords>& views, const std::vector<std::string>& tokens,
                       const std::string& name) {
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    const ViewWords* view = find(views, tokens[i]);
    if (view == nullptr) continue;
    const std::size_t alias = lower(tokens[i + 1]) == "as" ? i + 2 : i + 1;
    if (alias < tokens.size() && lower(tokens[alias]) == lower(name)) return view;
  }
  return find(views, name);
}

}  // namespace

Completion complete(const std::vector<ViewWords>& views, std::string_view earlier, std::string_view line) {
  StatementReader reader;
  const std::string text = std::string(earlier) + std::string(line);
  reader.add(text);
  while (reader.take()) {
  }
  Completion out;
  out.begin = line.size();
  if (reader.within() != '\0' && reader.within() != '"') return out;

  std::set<std::string> found;
  if (earlier.empty() && line.starts_with('\\')) {
    const std::size_t blank = line.find(' ');
    if (blank == line.npos) {
      out.begin = 0;
      for (const char* command : kCommands)
        if (begins(command, line)) found.insert(command);
    } else {
      out.begin = line.find_last_of(' ') + 1;
      const std::string_view prefix = line.substr(out.begin);
      if (begins(line.substr(0, blank), "\\format")) {
        for (const char* format : {"csv", "json", "ndjson", "table"})
          if (begins(format, prefix)) found.insert(format);
      } else {
        for (const auto& view : views)
          if (begins(view.name, prefix)) found.insert(view.name);
      }
    }
    out.candidates.assign(found.begin(), found.end());
    return out;
  }

  while (out.begin > 0 && word_char(line[out.begin - 1])) --out.begin;
  if (out.begin > 0 && line[out.begin - 1] == '"' && reader.within() == '"') --out.begin;
  const std::string_view prefix = line.substr(out.begin);
  const auto add = [&](const std::string& name) {
    if (begins(name, prefix) || begins(written(name), prefix)) found.insert(written(name));
  };
  const auto tokens = tokens_of(std::string_view(text).substr(0, text.size() - prefix.size()));
  const std::string previous = tokens.empty() ? "" : lower(tokens.back());
  if (previous == "." && tokens.size() > 1) {
    if (const ViewWords* view = meant(views, tokens, tokens[tokens.size() - 2])) {
      for (const auto& column : view->columns) add(column);
    }
  } else if (previous == "from" || previous == "join") {
    for (const auto& view : views) add(view.name);
  } else if (!prefix.empty()) {
    std::vector<const ViewWords*> named;
    for (const auto& token : tokens)
      if (const ViewWords* view = find(views, token)) named.push_back(view);
    for (const auto& view : views) {
      add(view.name);
      const bool is_named = std::find(named.begin(), named.end(), &view) != named.end();
      if (!named.empty() && !is_named) continue;
      for (const auto& column : view.columns) add(column);
    }
    const bool small = std::islower(static_cast<unsigned char>(prefix[0])) != 0;
    for (const char* keyword : kKeywords)
      if (begins(keyword, prefix)) found.insert(small ? lower(keyword) : keyword);
    for (const char* function : kFunctions)
      if (begins(function, prefix)) found.insert(function);
  }
  out.candidates.assign(found.begin(), found.end());
  return out;
}

}  // namespace tidemill::cli
