#include "consumers/views/clauses.h"

#include <algorithm>
#include <array>

#include "consumers/views/expression.h"
#include "consumers/views/words.h"

namespace tidemill::views {
namespace {

constexpr char kShape[] =
    "A view is written CREATE MATERIALIZED VIEW name AS SELECT ... FROM stream [WHERE ...] GROUP BY ..., or the SELECT "
    "alone.";

// Words that begin a clause, or end the FROM clause, outside of parentheses.
bool is_clause_word(const Token& t) {
  static constexpr std::string_view kWords[] = {
      "FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET", "WINDOW",  "UNION", "INTERSECT", "EXCEPT",
      "JOIN", "LEFT",  "RIGHT", "FULL",   "INNER", "CROSS", "OUTER",  "NATURAL", "ON",    "USING",     "SELECT"};
  return t.kind == TokenKind::word &&
         std::any_of(std::begin(kWords), std::end(kWords), [&](std::string_view w) { return t.is_word(w); });
}

bool is_identifier(std::string_view s) {
  if (s.empty() || s.size() > 128 || (s[0] >= '0' && s[0] <= '9')) return false;
  return std::all_of(s.begin(), s.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

class Reader {
 public:
  Reader(std::string_view sql, std::span<const Token> tokens) : sql_(sql), tokens_(tokens) {}

  std::optional<SqlError> read(Clauses& out) {
    if (auto e = check_everywhere()) return e;
    if (auto e = read_head(out)) return e;
    if (auto e = read_items(out)) return e;
    if (auto e = read_from(out)) return e;
    if (word("WHERE")) {
      const Token& where = tokens_[at_++];
      out.where = until_clause();
      if (out.where.empty()) return error(where, "A condition is missing after WHERE.");
    }
    if (word("GROUP")) {
      const Token& group = tokens_[at_++];
      if (!word("BY")) return error(group, "GROUP is followed by BY.");
      ++at_;
      out.group_by = split_list(until_clause());
      if (out.group_by.empty()) return error(group, "An expression is missing after GROUP BY.");
      for (auto term : out.group_by) {
        if (term.empty()) return error(group, "An expression is missing in GROUP BY.");
      }
    }
    if (at_ < tokens_.size()) return refuse_clause(tokens_[at_]);
    return std::nullopt;
  }

 private:
  SqlError error(const Token& at, std::string_view sentence, std::string_view code = "invalid_view") const {
    return error_at(sql_, at.offset, sentence, code);
  }
  SqlError at_end(std::string_view sentence) const { return error_at(sql_, sql_.size(), sentence); }
  bool word(std::string_view w) const { return at_ < tokens_.size() && tokens_[at_].is_word(w); }

  // What is wrong wherever it stands.
  std::optional<SqlError> check_everywhere() {
    int depth = 0;
    bool head = true;
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      const Token& t = tokens_[i];
      if (t.is('(')) ++depth;
      if (t.is(')') && --depth < 0) return error(t, "This parenthesis closes nothing.");
      if (t.is(';')) {
        if (i + 1 < tokens_.size())
          return error(tokens_[i + 1], "One statement at a time: send each definition alone.");
        tokens_ = tokens_.first(i);
        break;
      }
      if (t.kind == TokenKind::parameter) return error(t, "A definition has no parameters: write the value.");
      if (t.is_word("SELECT")) {
        if (depth > 0) {
          return error(t,
                       "Sub-selects cannot be kept up record by record: write a view of its own for the inner SELECT, "
                       "or use it when reading.");
        }
        head = false;
      }
      if (t.is_word("WITH") && head && depth == 0) {
        return error(t, "WITH cannot be kept up record by record: write a view of its own for each part.");
      }
    }
    if (depth > 0) return at_end("A parenthesis is not closed.");
    return std::nullopt;
  }

  std::optional<SqlError> read_head(Clauses& out) {
    if (tokens_.empty()) return at_end(std::string("The definition is empty. ") + kShape);
    if (word("CREATE")) {
      ++at_;
      if (!word("MATERIALIZED")) {
        return error(tokens_[0],
                     "Write CREATE MATERIALIZED VIEW: every view is kept up as records come, and a changed definition "
                     "is dropped and created anew.");
      }
      ++at_;
      if (!word("VIEW")) return error(tokens_[at_ - 1], kShape);
      ++at_;
      if (word("IF")) {
        if (at_ + 2 >= tokens_.size() || !tokens_[at_ + 1].is_word("NOT") || !tokens_[at_ + 2].is_word("EXISTS")) {
          return error(tokens_[at_], "Write IF NOT EXISTS.");
        }
        out.if_not_exists = true;
        at_ += 3;
      }
      if (at_ == tokens_.size() || !tokens_[at_].is_name())
        return at_ == tokens_.size() ? at_end(kShape) : error(tokens_[at_], kShape);
      const Token& name = tokens_[at_++];
      out.name = name.name();
      if (!is_identifier(out.name)) {
        return error(
            name,
            "A view's name has letters, digits and _, does not begin with a digit, and has at most 128 characters.");
      }
      if (at_ < tokens_.size() && tokens_[at_].is('('))
        return error(tokens_[at_], "Name the columns in the SELECT, with AS.");
      if (!word("AS")) return at_ == tokens_.size() ? at_end(kShape) : error(tokens_[at_], kShape);
      ++at_;
    }
    if (word("VALUES")) return error(tokens_[at_], "A view reads a stream: write SELECT ... FROM stream.");
    if (!word("SELECT")) return at_ == tokens_.size() ? at_end(kShape) : error(tokens_[at_], kShape);
    ++at_;
    if (word("DISTINCT")) return error(tokens_[at_], "Write GROUP BY with the same columns instead of DISTINCT.");
    if (word("ALL")) ++at_;
    return std::nullopt;
  }

  // From here to the next clause word outside of parentheses.
  std::span<const Token> until_clause() {
    std::size_t start = at_;
    int depth = 0;
    for (; at_ < tokens_.size(); ++at_) {
      if (tokens_[at_].is('(')) ++depth;
      if (tokens_[at_].is(')')) --depth;
      if (depth > 0 || !is_clause_word(tokens_[at_])) continue;
      // x IS [NOT] DISTINCT FROM y
      if (tokens_[at_].is_word("FROM") && at_ >= start + 2 && tokens_[at_ - 1].is_word("DISTINCT")) continue;
      break;
    }
    return tokens_.subspan(start, at_ - start);
  }

  std::optional<SqlError> read_items(Clauses& out) {
    const Token& select = tokens_[at_ - 1];
    auto list = split_list(until_clause());
    if (list.empty()) return error(select, "The output columns are missing after SELECT.");
    for (auto tokens : list) {
      if (tokens.empty()) return error(select, "An output column is missing between two commas.");
      bool star = tokens.back().is('*') && (tokens.size() == 1 || tokens[tokens.size() - 2].is('.'));
      if (star) return error(tokens.back(), "Name the columns instead of *: a view has fixed columns.");
      ItemText item{tokens, ""};
      std::size_t n = tokens.size();
      const Token& last = tokens[n - 1];
      bool nameable = last.is_name() || last.kind == TokenKind::string;
      if (n >= 3 && nameable && tokens[n - 2].is_word("AS")) {
        item.alias = last.name();
        item.expression = tokens.first(n - 2);
      } else if (n >= 2 && last.is_name() && !(last.kind == TokenKind::word && is_expression_keyword(last.text))) {
        // An alias without AS follows the end of an operand; after anything else it is an operand itself.
        const Token& before = tokens[n - 2];
        bool keyword = before.kind == TokenKind::word && is_expression_keyword(before.text);
        bool literal_word = before.is_word("END") || before.is_word("NULL") || before.is_word("TRUE") ||
                            before.is_word("FALSE") || before.is_word("ISNULL") || before.is_word("NOTNULL");
        bool collation = n >= 3 && before.is_word("COLLATE");
        if (!collation && (literal_word || before.is(')') || (before.kind != TokenKind::symbol && !keyword))) {
          item.alias = last.name();
          item.expression = tokens.first(n - 1);
        }
      }
      out.items.push_back(std::move(item));
    }
    return std::nullopt;
  }

  std::optional<SqlError> read_from(Clauses& out) {
    if (!word("FROM")) {
      if (at_ < tokens_.size()) return refuse_clause(tokens_[at_]);
      return at_end("FROM is missing: name the stream that the view reads.");
    }
    const Token& from = tokens_[at_++];
    if (at_ == tokens_.size()) return at_end("The stream's name is missing after FROM.");
    const Token& name = tokens_[at_];
    if (name.is('(')) return error(name, "Sub-selects cannot be kept up record by record: name a stream after FROM.");
    if (!name.is_name() || is_clause_word(name)) return error(from, "The stream's name is missing after FROM.");
    out.stream = name.name();
    ++at_;
    if (at_ < tokens_.size() && (tokens_[at_].is('.') || tokens_[at_].is('-'))) {
      return error(name, "A stream's name with a dot or a dash is written in double quotes.");
    }
    if (at_ < tokens_.size() && tokens_[at_].is('(')) {
      return error(name, "Table functions are not supported yet: name a stream after FROM.", "not_supported");
    }
    if (word("AS")) ++at_;
    if (at_ < tokens_.size() && tokens_[at_].is_name() && !is_clause_word(tokens_[at_])) {
      out.alias = tokens_[at_++].name();
    }
    return std::nullopt;
  }

  SqlError refuse_clause(const Token& t) const {
    if (t.is_word("RIGHT") || t.is_word("FULL")) {
      return error(t,
                   "RIGHT and FULL joins give rows without a record, which a stream cannot keep up: leave the join out "
                   "and join when reading.");
    }
    for (std::string_view w : {"JOIN", "LEFT", "INNER", "CROSS", "OUTER", "NATURAL", "ON", "USING"}) {
      if (t.is_word(w)) {
        return error(
            t, "Lookups into other views are not supported yet: group by the key here and join the views when reading.",
            "not_supported");
      }
    }
    if (t.is(',')) {
      return error(
          t, "Lookups into other views are not supported yet: name one stream here and join the views when reading.",
          "not_supported");
    }
    if (t.is_word("HAVING"))
      return error(t, "HAVING hides rows that may come back: filter the view's rows with WHERE when reading.");
    if (t.is_word("ORDER"))
      return error(t, "A view's rows are kept by key: leave ORDER BY out, and sort when reading.");
    if (t.is_word("LIMIT") || t.is_word("OFFSET"))
      return error(t, "A view keeps all its rows: leave LIMIT out, and use it when reading.");
    if (t.is_word("UNION") || t.is_word("INTERSECT") || t.is_word("EXCEPT")) {
      return error(t, "UNION, INTERSECT and EXCEPT cannot be kept up: write two views and combine them when reading.");
    }
    if (t.is_word("WINDOW"))
      return error(t, "Window functions cannot be kept up record by record: use them when reading the view.");
    if (t.is_word("WHERE")) return error(t, "WHERE stands between FROM and GROUP BY.");
    return error(t, "This is not understood here. " + std::string(kShape));
  }

  std::string_view sql_;
  std::span<const Token> tokens_;
  std::size_t at_ = 0;
};

}  // namespace

SqlResult<Clauses> find_clauses(std::string_view sql, std::span<const Token> tokens) {
  Clauses out;
  if (auto e = Reader(sql, tokens).read(out)) return *e;
  return out;
}

}  // namespace tidemill::views
