#include "consumers/views/clauses.h"

#include <algorithm>
#include <array>

#include "consumers/views/expression.h"
#include "consumers/views/from_clause.h"
#include "consumers/views/words.h"

namespace tidemill::views {
namespace {

constexpr char kShape[] =
    "A view is written CREATE MATERIALIZED VIEW name AS SELECT ... FROM stream [WHERE ...] GROUP BY ..., or the SELECT "
    "alone.";

constexpr char kStreamShape[] = "A derived stream is written CREATE STREAM name AS SELECT ... FROM stream [WHERE ...].";

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
      out.where = until_clause(tokens_, at_);
      if (out.where.empty()) return error(where, "A condition is missing after WHERE.");
    }
    if (word("GROUP") && of_stream_) {
      return error(tokens_[at_],
                   "GROUP BY makes a row of many records, and that is a view: write CREATE MATERIALIZED VIEW, or leave "
                   "GROUP BY out.");
    }
    if (word("GROUP")) {
      const Token& group = tokens_[at_++];
      if (!word("BY")) return error(group, "GROUP is followed by BY.");
      ++at_;
      out.group_by = split_list(until_clause(tokens_, at_));
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
      if (t.is_word("WITH") && head && depth == 0 && (i == 0 || tokens_[i - 1].is_word("AS"))) {
        return error(t, "WITH cannot be kept up record by record: write a view of its own for each part.");
      }
    }
    if (depth > 0) return at_end("A parenthesis is not closed.");
    return std::nullopt;
  }

  std::optional<SqlError> read_head(Clauses& out) {
    if (tokens_.empty()) return at_end(std::string("The definition is empty. ") + kShape);
    auto read = views::read_head(sql_, tokens_);
    if (auto* e = std::get_if<SqlError>(&read)) return *e;
    const auto& head = std::get<StatementHead>(read);
    if (head.kind == StatementHead::Kind::drop || head.kind == StatementHead::Kind::drop_stream)
      return error(tokens_[0], kShape);
    of_stream_ = out.of_stream = head.kind == StatementHead::Kind::create_stream;
    out.name = head.name;
    out.if_not_exists = head.if_not_exists;
    out.expiry = head.expiry;
    out.lineage = head.lineage.value_or(true);
    at_ = head.body;
    const char* const shape = of_stream_ ? kStreamShape : kShape;
    if (word("VALUES")) return error(tokens_[at_], "A view reads a stream: write SELECT ... FROM stream.");
    if (!word("SELECT")) return at_ == tokens_.size() ? at_end(shape) : error(tokens_[at_], shape);
    ++at_;
    if (word("DISTINCT") && of_stream_) {
      return error(tokens_[at_],
                   "DISTINCT would have to remember all records, and a stream is made of each by itself: leave it out, "
                   "and write a view with GROUP BY over the stream.");
    }
    if (word("DISTINCT")) return error(tokens_[at_], "Write GROUP BY with the same columns instead of DISTINCT.");
    if (word("ALL")) ++at_;
    return std::nullopt;
  }

  std::optional<SqlError> read_items(Clauses& out) {
    const Token& select = tokens_[at_ - 1];
    auto list = split_list(until_clause(tokens_, at_));
    if (list.empty()) return error(select, "The output columns are missing after SELECT.");
    for (auto tokens : list) {
      if (tokens.empty()) return error(select, "An output column is missing between two commas.");
      bool star = tokens.back().is('*') && (tokens.size() == 1 || tokens[tokens.size() - 2].is('.'));
      if (star && of_stream_) {
        if (tokens.size() > 1) return error(tokens.back(), "Write * alone: it passes records on as they are.");
        out.items.push_back({tokens, ""});
        continue;
      }
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
      return error(name, "A view reads a stream, and the elements of its records: FROM stream, json_each(field).");
    }
    if (word("AS")) ++at_;
    if (at_ < tokens_.size() && tokens_[at_].is_name() && !is_clause_word(tokens_[at_])) {
      out.alias = tokens_[at_++].name();
    }
    return read_behind_stream(sql_, tokens_, at_, out);
  }

  SqlError refuse_clause(const Token& t) const {
    if (of_stream_) return refuse_of_stream(t);
    if (t.is_word("RIGHT") || t.is_word("FULL")) {
      return error(
          t,
          "RIGHT and FULL joins give rows without a record, which a stream cannot keep up: write LEFT JOIN view "
          "ON view.column = field, or join when reading.");
    }
    for (std::string_view w : {"JOIN", "LEFT", "INNER", "CROSS", "OUTER", "ON", "USING"}) {
      if (!t.is_word(w)) continue;
      return error(t,
                   "A lookup is written CROSS JOIN view ON view.column = field, or LEFT JOIN view ON ..., behind the "
                   "stream.");
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

  SqlError refuse_of_stream(const Token& t) const {
    for (std::string_view w : {"RIGHT", "FULL", "JOIN", "LEFT", "INNER", "CROSS", "OUTER", "NATURAL", "ON", "USING"}) {
      if (t.is_word(w)) {
        return error(t,
                     "Joins are not supported in a derived stream: each of its records is made of one record of its "
                     "source. Keep the other side in a view, and join when reading.",
                     "not_supported");
      }
    }
    if (t.is(',')) {
      return error(
          t,
          "A derived stream has one source. For records of several, have the producers write to one stream, or "
          "derive a stream from each and read them together.",
          "not_supported");
    }
    if (t.is_word("ORDER"))
      return error(t, "A stream keeps the order of its source: leave ORDER BY out, and sort when reading.");
    if (t.is_word("LIMIT") || t.is_word("OFFSET"))
      return error(t, "A stream has no end: leave LIMIT out. WITH (from = ...) says where it begins.");
    if (t.is_word("HAVING"))
      return error(t, "HAVING filters groups, and a stream has none: write the condition in WHERE.");
    if (t.is_word("UNION") || t.is_word("INTERSECT") || t.is_word("EXCEPT"))
      return error(t, "A derived stream is one SELECT: write a stream for each.");
    if (t.is_word("WINDOW"))
      return error(t,
                   "Window functions look at other records, and a stream is made of each by itself: use them when "
                   "reading.");
    return error(t, "This is not understood here. " + std::string(kStreamShape));
  }

  std::string_view sql_;
  std::span<const Token> tokens_;
  std::size_t at_ = 0;
  bool of_stream_ = false;
};

}  // namespace

SqlResult<Clauses> find_clauses(std::string_view sql, std::span<const Token> tokens) {
  Clauses out;
  if (auto e = Reader(sql, tokens).read(out)) return *e;
  return out;
}

}  // namespace tidemill::views
