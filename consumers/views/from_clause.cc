#include "consumers/views/from_clause.h"

#include <algorithm>
#include <array>

#include "consumers/views/expression.h"
#include "consumers/views/words.h"

namespace tidemill::views {
namespace {

class JoinReader {
 public:
  JoinReader(std::string_view sql, std::span<const Token> tokens, std::size_t& at, Clauses& out)
      : sql_(sql), tokens_(tokens), at_(at), out_(out) {}

  std::optional<SqlError> read() {
    for (;;) {
      const std::size_t before = at_;
      if (auto e = read_one()) return e;
      if (at_ == before) return std::nullopt;
    }
  }

 private:
  SqlError error(const Token& at, std::string_view sentence, std::string_view code = "invalid_view") const {
    return error_at(sql_, at.offset, sentence, code);
  }
  bool word(std::string_view w) const { return at_ < tokens_.size() && tokens_[at_].is_word(w); }

  // [, | CROSS JOIN | [INNER] JOIN | LEFT [OUTER] JOIN] and a name.
  std::optional<SqlError> read_one() {
    std::size_t at = at_;
    auto take = [&](std::string_view w) { return at < tokens_.size() && tokens_[at].is_word(w) && ++at != 0; };
    if (word("NATURAL") && !out_.of_stream) {
      return error(tokens_[at_],
                   "NATURAL compares columns of the same name, and a stream's records have no list of "
                   "columns: write JOIN view ON view.column = field.");
    }
    bool optional = false;
    if (at < tokens_.size() && tokens_[at].is(',')) {
      ++at;
    } else {
      if (take("LEFT")) {
        optional = true;
        take("OUTER");
      } else if (!take("CROSS")) {
        take("INNER");
      }
      if (!take("JOIN")) return std::nullopt;
    }
    if (at + 1 < tokens_.size() && tokens_[at + 1].is('(')) return read_elements(at, optional);
    if (out_.of_stream) return std::nullopt;
    if (at == tokens_.size() || !tokens_[at].is_name() || is_clause_word(tokens_[at])) {
      return error(tokens_[at - 1], "The name of the view that the records are looked up in is missing here.");
    }
    return read_lookup(at, optional);
  }

  // From here on [AS] alias.
  void read_alias(std::string& alias) {
    if (word("AS")) ++at_;
    if (at_ < tokens_.size() && tokens_[at_].is_name() && !is_clause_word(tokens_[at_])) alias = tokens_[at_++].name();
  }

  // What else goes by this name; empty: nothing.
  std::string taken(const std::string& alias) const {
    if (equal_ignoring_case(alias, out_.alias.empty() ? out_.stream : out_.alias)) return "Stream";
    if (out_.elements && equal_ignoring_case(alias, out_.elements->alias)) return "Elements";
    for (const LookupText& l : out_.lookups) {
      if (equal_ignoring_case(alias, l.alias)) return "Another view";
    }
    return {};
  }

  std::optional<SqlError> read_elements(std::size_t at, bool optional) {
    const Token& function = tokens_[at];
    if (!function.is_word("JSON_EACH")) {
      return error(function, "Only json_each(...) may stand behind the stream: it gives a row for each element.",
                   "not_supported");
    }
    if (out_.elements) {
      return error(function,
                   "A second json_each is not supported yet: write a view over a stream that has the inner elements as "
                   "records.",
                   "not_supported");
    }
    if (!out_.lookups.empty()) {
      return error(function, "json_each stands right behind the stream, in front of the views that are looked up.");
    }
    ElementsText elements;
    elements.optional = optional;
    const std::size_t end = closing(tokens_, at + 1);
    elements.arguments = tokens_.subspan(at + 2, end - at - 2);
    if (elements.arguments.empty()) return error(function, "Say whose elements: json_each(field).");
    at_ = end + 1;
    elements.alias = "json_each";
    read_alias(elements.alias);
    if (!taken(elements.alias).empty()) {
      return error(function, "Stream and elements are both called " + elements.alias + ": give one an alias.");
    }
    if (word("ON") || word("USING")) {
      return error(tokens_[at_], "json_each gives the elements of its own record: write a condition on them in WHERE.");
    }
    out_.elements = std::move(elements);
    return std::nullopt;
  }

  std::optional<SqlError> read_lookup(std::size_t at, bool optional) {
    const Token& name = tokens_[at];
    LookupText lookup;
    lookup.view = lookup.alias = name.name();
    lookup.optional = optional;
    lookup.at = name.offset;
    at_ = at + 1;
    read_alias(lookup.alias);
    if (const std::string other = taken(lookup.alias); !other.empty()) {
      return error(name, other + " and this view are both called " + lookup.alias + ": give one an alias.");
    }
    if (word("USING")) {
      return error(tokens_[at_], "Write ON " + lookup.alias +
                                     ".column = field instead of USING: a stream's records have no list of columns.");
    }
    if (word("ON")) {
      const Token& on = tokens_[at_++];
      const std::size_t begin = at_;
      lookup.on = until_clause(tokens_, at_);
      // A comma outside of parentheses is the next table's.
      lookup.on = lookup.on.empty() ? lookup.on : split_list(lookup.on).front();
      at_ = begin + lookup.on.size();
      if (lookup.on.empty()) return error(on, "A condition is missing after ON.");
    } else if (optional) {
      return error(name, "LEFT JOIN needs to know which row of " + lookup.view + ": write LEFT JOIN " + lookup.view +
                             " ON " + lookup.alias + ".column = field.");
    }
    out_.lookups.push_back(std::move(lookup));
    return std::nullopt;
  }

  std::string_view sql_;
  std::span<const Token> tokens_;
  std::size_t& at_;
  Clauses& out_;
};

}  // namespace

bool is_clause_word(const Token& t) {
  static constexpr std::string_view kWords[] = {
      "FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET", "WINDOW",  "UNION", "INTERSECT", "EXCEPT",
      "JOIN", "LEFT",  "RIGHT", "FULL",   "INNER", "CROSS", "OUTER",  "NATURAL", "ON",    "USING",     "SELECT"};
  return t.kind == TokenKind::word &&
         std::any_of(std::begin(kWords), std::end(kWords), [&](std::string_view w) { return t.is_word(w); });
}

std::span<const Token> until_clause(std::span<const Token> tokens, std::size_t& at) {
  const std::size_t start = at;
  int depth = 0;
  for (; at < tokens.size(); ++at) {
    if (tokens[at].is('(')) ++depth;
    if (tokens[at].is(')')) --depth;
    if (depth > 0 || !is_clause_word(tokens[at])) continue;
    // x IS [NOT] DISTINCT FROM y
    if (tokens[at].is_word("FROM") && at >= start + 2 && tokens[at - 1].is_word("DISTINCT")) continue;
    break;
  }
  return tokens.subspan(start, at - start);
}

std::optional<SqlError> read_behind_stream(std::string_view sql, std::span<const Token> tokens, std::size_t& at,
                                           Clauses& out) {
  return JoinReader(sql, tokens, at, out).read();
}

}  // namespace tidemill::views
