#include "consumers/views/query_explain.h"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <map>

#include "consumers/views/tokenizer.h"

namespace tidemill::views {
namespace {

constexpr std::array kAggregates{"avg", "count", "group_concat", "max", "min", "sum", "total"};

// Does LIMIT end the reading of the outermost SELECT? Where it may not, nothing is said.
bool limited(std::string_view sql) {
  const auto tokenized = tokenize(sql);
  const auto* tokens = std::get_if<std::vector<Token>>(&tokenized);
  if (tokens == nullptr) return false;
  int depth = 0;
  bool limit = false;
  for (const Token& token : *tokens) {
    if (token.is('(')) ++depth;
    if (token.is(')')) --depth;
    limit |= depth == 0 && token.is_word("LIMIT");
    for (const char* word : {"GROUP", "DISTINCT", "OVER", "UNION", "INTERSECT", "EXCEPT"})
      if (token.is_word(word)) return false;
    for (const char* word : kAggregates)
      if (token.is_word(word)) return false;
  }
  return limit;
}

std::string in_words(std::string_view detail, bool inner) {
  const std::size_t words = detail.find(kInWords);
  const bool reads = detail.starts_with("SCAN ") || detail.starts_with("SEARCH ");
  if (reads && words != detail.npos) {
    const std::string_view alias = detail.substr(detail.find(' ') + 1, detail.find(" VIRTUAL") - detail.find(' ') - 1);
    return std::string(alias) + ": " + (inner ? "for each of those, " : "") + std::string(detail.substr(words + 1));
  }
  if (reads && detail.find("VIRTUAL TABLE") != detail.npos) {
    const std::string_view name = detail.substr(detail.find(' ') + 1, detail.find(" VIRTUAL") - detail.find(' ') - 1);
    return std::string(name) + ": " + (inner ? "for each of those, " : "") + "its elements";
  }
  constexpr std::string_view sorter = "USE TEMP B-TREE FOR ";
  if (detail.starts_with(sorter)) {
    const std::string_view what = detail.substr(sorter.size());
    if (what.find("ORDER BY") != what.npos) return "sorts for " + std::string(what);
    return "keeps all groups or values in memory for " + std::string(what);
  }
  return std::string(detail);  // SQLite's own words: CO-ROUTINE, SCALAR SUBQUERY, ...
}

}  // namespace

std::optional<std::size_t> explained_from(std::string_view sql) {
  const auto tokenized = tokenize(sql);
  const auto* tokens = std::get_if<std::vector<Token>>(&tokenized);
  if (tokens == nullptr || tokens->size() < 2 || !(*tokens)[0].is_word("EXPLAIN")) return std::nullopt;
  const Token& second = (*tokens)[1];
  const bool ours = second.is_word("SELECT") || second.is_word("VALUES") || second.is_word("WITH");
  if (!ours) return std::nullopt;
  return second.offset;
}

std::optional<std::vector<std::string>> explain_in_words(sqlite3_stmt* plan, std::string_view sql) {
  std::vector<std::string> lines;
  std::map<int, std::size_t> depths;  // of the plan's nodes
  std::map<int, int> reads;           // tables read at a level, by their parent
  bool sorts = false;
  int rc = SQLITE_ROW;
  while ((rc = sqlite3_step(plan)) == SQLITE_ROW) {
    const int id = sqlite3_column_int(plan, 0);
    const int parent = sqlite3_column_int(plan, 1);
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(plan, 3));
    const std::string_view detail = text == nullptr ? "" : text;
    const auto above = depths.find(parent);
    const std::size_t depth = above == depths.end() ? 0 : above->second + 1;
    depths[id] = depth;
    const bool read = detail.starts_with("SCAN ") || detail.starts_with("SEARCH ");
    const bool inner = read && reads[parent]++ > 0;
    sorts |= depth == 0 && detail.starts_with("USE TEMP B-TREE");
    lines.push_back(std::string(depth * 2, ' ') + in_words(detail, inner));
  }
  if (rc != SQLITE_DONE) return std::nullopt;
  if (!sorts && limited(sql)) lines.push_back("ends when LIMIT is reached");
  if (lines.empty()) lines.push_back("reads no view");
  return lines;
}

}  // namespace tidemill::views
