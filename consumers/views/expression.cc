#include "consumers/views/expression.h"

#include <algorithm>
#include <charconv>

#include "consumers/views/words.h"

namespace tidemill::views {
namespace {

using Kind = Part::Kind;

// Whether an operand may end here, so that a LIKE or GLOB that follows is the operator, not the function.
bool ends_operand(const Parts& parts) {
  if (parts.empty()) return false;
  const Part& last = parts.back();
  if (last.kind == Kind::symbol) return last.text == ")";
  if (last.kind == Kind::keyword) return last.text == "END" || last.text == "ISNULL" || last.text == "NOTNULL";
  return last.kind != Kind::function;
}

bool is_element(std::string_view name) {
  return name == "key" || name == "value" || name == "type";
}

bool is_string(const Token& t, std::string_view lower) {
  return t.kind == TokenKind::string && equal_ignoring_case(t.name(), lower);
}

std::size_t argument_count(std::string_view aggregate) {
  std::string_view list = aggregate_arguments(aggregate);
  return 1 + static_cast<std::size_t>(std::count(list.begin(), list.end(), ','));
}

std::optional<double> fraction_of(std::span<const Token> tokens) {
  double v = 0;
  if (tokens.size() != 1 || tokens[0].kind != TokenKind::number) return std::nullopt;
  const char* end = tokens[0].text.data() + tokens[0].text.size();
  auto read = std::from_chars(tokens[0].text.data(), end, v);
  if (read.ec != std::errc() || read.ptr != end || v < 0 || v > 1) return std::nullopt;
  return v;
}

std::optional<std::uint64_t> limit_of(std::span<const Token> tokens) {
  std::uint64_t n = 0;
  if (tokens.size() != 1 || tokens[0].kind != TokenKind::number) return std::nullopt;
  const char* end = tokens[0].text.data() + tokens[0].text.size();
  auto read = std::from_chars(tokens[0].text.data(), end, n);
  if (read.ec != std::errc() || read.ptr != end || n < 1 || n > kJsonLimit) return std::nullopt;
  return n;
}

std::string wrong_arguments(const std::string& aggregate) {
  if (aggregate == "collect") return "collect takes one argument, or two: collect(x), collect(x, 100).";
  if (argument_count(aggregate) == 1) return aggregate + " takes one argument.";
  return aggregate + " takes two arguments: " + aggregate + "(" + std::string(aggregate_arguments(aggregate)) + ").";
}

}  // namespace

bool AggregateDraft::same_as(const AggregateDraft& o) const {
  return function == o.function && distinct == o.distinct && star == o.star && fraction == o.fraction &&
         limit == o.limit && arguments == o.arguments && filter == o.filter;
}

std::size_t closing(std::span<const Token> tokens, std::size_t open) {
  int depth = 0;
  for (std::size_t i = open; i < tokens.size(); ++i) {
    if (tokens[i].is('(')) ++depth;
    if (tokens[i].is(')') && --depth == 0) return i;
  }
  return tokens.size();
}

std::vector<std::span<const Token>> split_list(std::span<const Token> tokens) {
  std::vector<std::span<const Token>> out;
  if (tokens.empty()) return out;
  std::size_t start = 0;
  int depth = 0;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i].is('(')) ++depth;
    if (tokens[i].is(')')) --depth;
    if (depth == 0 && tokens[i].is(',')) {
      out.push_back(tokens.subspan(start, i - start));
      start = i + 1;
    }
  }
  out.push_back(tokens.subspan(start));
  return out;
}

ExpressionReader::ExpressionReader(std::string_view sql, std::vector<std::string> source)
    : sql_(sql), source_(std::move(source)) {}

SqlError ExpressionReader::error(const Token& at, std::string_view sentence, std::string_view code) const {
  return error_at(sql_, at.offset, sentence, code);
}

std::string ExpressionReader::source_text(std::span<const Token> tokens) const {
  std::size_t from = tokens.front().offset;
  return std::string(sql_.substr(from, tokens.back().offset + tokens.back().text.size() - from));
}

SqlResult<Parts> ExpressionReader::read(std::span<const Token> tokens, Where where) {
  Parts out;
  rows_ = where == Where::rows;
  if (auto e = read_into(tokens, where, out)) return *e;
  return out;
}

// Why nothing may be called that is something else each time.
std::string_view ExpressionReader::why_the_same() const {
  return rows_ ? "a row must fit or not until it changes" : "a rebuild must give the same rows";
}

std::optional<SqlError> ExpressionReader::read_into(std::span<const Token> tokens, Where where, Parts& out) {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const Token& t = tokens[i];
    auto push = [&](Kind kind, std::string text) { out.push_back({kind, std::move(text), t.offset}); };
    bool call = i + 1 < tokens.size() && tokens[i + 1].is('(');

    if (t.kind == TokenKind::string || t.kind == TokenKind::number) {
      push(Kind::literal, std::string(t.text));
      continue;
    }
    if (t.kind == TokenKind::blob) {
      return error(t, "Views keep no BLOBs: write the text in quotes, or compare with hex(x).");
    }
    if (t.kind == TokenKind::symbol) {
      push(Kind::symbol, std::string(t.text));
      continue;
    }
    if (t.kind == TokenKind::word && is_expression_keyword(t.text)) {
      std::string word = to_upper(t.text);
      if (word.starts_with("CURRENT_")) {
        if (rows_)
          return error(t, "The clock may not be read here, for " + std::string(why_the_same()) +
                              ": write the time out, as in day >= '2026-11-01'.");
        return error(t,
                     "A definition may not read the clock, for a rebuild must give the same rows: use _time, when the "
                     "record arrived, or a time in the record.");
      }
      if (word == "REGEXP" || word == "MATCH") return error(t, "There is no " + word + ": write LIKE or GLOB.");
      if (word == "EXISTS")
        return error(t, rows_ ? "A sub-select would have to be asked again for each row: compare columns of the row."
                              : "Sub-selects cannot be kept up record by record.");
      if ((word == "LIKE" || word == "GLOB") && call && !ends_operand(out)) {
        push(Kind::function, to_lower(t.text));
        continue;
      }
      if (word == "NULL" || word == "TRUE" || word == "FALSE") {
        push(Kind::literal, word);
        continue;
      }
      push(Kind::keyword, word);
      // What follows is a type or a collation, not a column.
      if (word == "AS") {
        int depth = 0;
        for (++i; i < tokens.size(); ++i) {
          if (tokens[i].is('(')) ++depth;
          if (tokens[i].is(')') && depth-- == 0) break;
          out.push_back({tokens[i].kind == TokenKind::symbol ? Kind::symbol : Kind::keyword, to_upper(tokens[i].text),
                         tokens[i].offset});
        }
        --i;
      } else if (word == "COLLATE" && i + 1 < tokens.size()) {
        if (where == Where::group_by || where == Where::argument) {
          return error(t,
                       "Groups and aggregates compare text byte by byte: write lower(x) instead of x COLLATE NOCASE.");
        }
        ++i;
        out.push_back({Kind::keyword, to_upper(tokens[i].text), tokens[i].offset});
      }
      continue;
    }
    if (call) {
      if (t.kind == TokenKind::quoted) return error(t, "A function's name is written without quotes.");
      std::string name = to_lower(t.text);
      std::size_t end = closing(tokens, i + 1);
      if (end == tokens.size()) return error(tokens[i + 1], "This parenthesis is not closed.");
      bool scalar_min_max =
          (name == "min" || name == "max") && split_list(tokens.subspan(i + 2, end - i - 2)).size() > 1;
      if (is_aggregate(name) && !scalar_min_max) {
        switch (where) {
          case Where::where:
            return error(t,
                         "An aggregate cannot decide which records come in: filter the aggregate, as in sum(x) "
                         "FILTER (WHERE y > 0), or filter the view's rows when reading.");
          case Where::group_by:
            return error(t, "An aggregate cannot be part of the key: group by fields of the record.");
          case Where::from:
            return error(t, "json_each takes a field of the record, not an aggregate.");
          case Where::on:
            return error(t, "An aggregate cannot decide which row is looked up: compare with fields of the record.");
          case Where::argument:
          case Where::filter:
            return error(t,
                         "An aggregate inside an aggregate cannot be kept up: write a view with the inner one and "
                         "aggregate its rows when reading.");
          case Where::rows:
            return error(t, "An aggregate is of many rows, and each is looked at by itself: compare its columns.");
          case Where::output:
            break;
        }
        if (auto e = read_aggregate(tokens, i, out)) return e;
        continue;
      }
      if (auto e = check_function(tokens, i)) return e;
      push(Kind::function, name);
      continue;
    }
    // A column, perhaps with the stream's name before it.
    if (i + 1 < tokens.size() && tokens[i + 1].is('.')) {
      std::string before = t.name();
      bool known = std::any_of(source_.begin(), source_.end(),
                               [&](const std::string& s) { return equal_ignoring_case(s, before); });
      if (i + 2 >= tokens.size() || !tokens[i + 2].is_name()) return error(t, "Name the columns: * is not a column.");
      std::string after = tokens[i + 2].name();
      if (!elements_.empty() && equal_ignoring_case(elements_, before)) {
        std::string column = to_lower(after);
        if (!is_element(column)) return error(tokens[i + 2], "json_each gives key, value and type, not " + after + ".");
        push(Kind::element, column);
        i += 2;
        continue;
      }
      if (lookup_named(before) != nullptr) {
        auto column = lookup_column(t, tokens[i + 2]);
        if (auto* e = std::get_if<SqlError>(&column)) return *e;
        out.push_back(std::get<Part>(std::move(column)));
        i += 2;
        continue;
      }
      if (!known) {
        return error(t, "There is no table " + before +
                            " here. For a field inside a field write its path in double quotes: \"" + before + "." +
                            after + "\".");
      }
      push(Kind::column, after);
      i += 2;
      if (i + 1 < tokens.size() && tokens[i + 1].is('.')) {
        return error(tokens[i], "For a field inside a field write its path in double quotes: \"" + after + ".x\".");
      }
      continue;
    }
    if (!elements_.empty() && is_element(t.name())) {
      bare_elements.insert(t.name());
      push(Kind::element, t.name());
      continue;
    }
    push(Kind::column, t.name());
  }
  return std::nullopt;
}

const LookedUpColumns* ExpressionReader::lookup_named(std::string_view name) const {
  const auto there =
      std::find_if(lookups.begin(), lookups.end(), [&](const auto& l) { return equal_ignoring_case(l.alias, name); });
  return there == lookups.end() ? nullptr : &*there;
}

// As in SQL, upper and lower case do not matter in a view's columns.
SqlResult<Part> ExpressionReader::lookup_column(const Token& before, const Token& column) const {
  const LookedUpColumns& lookup = *lookup_named(before.name());
  std::string names;
  for (const Column& c : lookup.columns) {
    if (equal_ignoring_case(c.name, column.name()))
      return Part{Kind::lookup, c.name, before.offset, static_cast<std::uint32_t>(&lookup - lookups.data())};
    names += (names.empty() ? "" : ", ") + c.name;
  }
  return error(column, lookup.alias + " has no column " + column.name() + ". It has: " + names + ".");
}

std::optional<SqlError> ExpressionReader::read_aggregate(std::span<const Token> tokens, std::size_t& i, Parts& out) {
  const Token& name = tokens[i];
  AggregateDraft draft;
  draft.function = to_lower(name.text);
  draft.offset = name.offset;
  std::size_t open = i + 1;
  std::size_t end = closing(tokens, open);
  std::span<const Token> inside = tokens.subspan(open + 1, end - open - 1);
  std::size_t last = end;

  if (!inside.empty() && inside[0].is_word("DISTINCT")) {
    if (draft.function == "count") {
      draft.distinct = true;
    } else if (draft.function != "min" && draft.function != "max") {  // there it changes nothing
      return error(inside[0], draft.function + "(DISTINCT x) is not supported yet: only count(DISTINCT x) is.",
                   "not_supported");
    }
    inside = inside.subspan(1);
  }
  if (inside.size() == 1 && inside[0].is('*')) {
    if (draft.function != "count" || draft.distinct) return error(inside[0], "Only count(*) takes a star.");
    draft.star = true;
  } else {
    for (std::size_t k = 0; k + 1 < inside.size(); ++k) {
      if (inside[k].is_word("ORDER") && inside[k + 1].is_word("BY")) {
        return error(inside[k],
                     "An aggregate's order is always that of the stream (by sequence): leave ORDER BY out, and sort "
                     "when reading.");
      }
    }
    auto arguments = split_list(inside);
    if (draft.function == "count" && arguments.empty()) {
      draft.star = true;  // count() is count(*) in SQLite
    } else if (arguments.size() != argument_count(draft.function) &&
               (draft.function != "collect" || arguments.size() != 2)) {
      return error(name, wrong_arguments(draft.function));
    }
    if (draft.function == "collect" || draft.function == "map") draft.limit = kJsonLimit;
    if (draft.function == "median") {
      draft.function = "quantile";
      draft.fraction = 0.5;
    } else if (draft.function == "quantile") {
      auto fraction = fraction_of(arguments[1]);
      if (!fraction) {
        return error(arguments[1].empty() ? name : arguments[1][0],
                     "Which quantile is a number from 0 to 1, written out: quantile(x, 0.95).");
      }
      draft.fraction = *fraction;
      arguments.pop_back();
    } else if (draft.function == "collect" && arguments.size() == 2) {
      auto limit = limit_of(arguments[1]);
      if (!limit) {
        return error(arguments[1].empty() ? name : arguments[1][0],
                     "How many values are kept is a whole number from 1 to " + std::to_string(kJsonLimit) +
                         ", written out: collect(x, 100).");
      }
      draft.limit = *limit;
      arguments.pop_back();
    }
    for (auto argument : arguments) {
      if (argument.empty()) return error(name, wrong_arguments(draft.function));
      Parts parts;
      if (auto e = read_into(argument, Where::argument, parts)) return e;
      draft.arguments.push_back(std::move(parts));
    }
  }
  auto at = [&](std::size_t k) { return k < tokens.size() ? &tokens[k] : nullptr; };
  if (at(end + 1) != nullptr && at(end + 1)->is_word("FILTER")) {
    std::size_t filter_open = end + 2;
    if (at(filter_open) == nullptr || !at(filter_open)->is('(') || at(filter_open + 1) == nullptr ||
        !at(filter_open + 1)->is_word("WHERE")) {
      return error(*at(end + 1), "A filter is written FILTER (WHERE condition).");
    }
    last = closing(tokens, filter_open);
    Parts parts;
    if (auto e = read_into(tokens.subspan(filter_open + 2, last - filter_open - 2), Where::filter, parts)) return e;
    if (parts.empty()) return error(*at(filter_open), "A filter is written FILTER (WHERE condition).");
    draft.filter = std::move(parts);
  }
  if (at(last + 1) != nullptr && at(last + 1)->is_word("OVER")) {
    return error(*at(last + 1), "Window functions cannot be kept up record by record: use them when reading the view.");
  }
  draft.text = source_text(tokens.subspan(i, last - i + 1));
  i = last;

  std::uint32_t index = 0;
  while (index < aggregates.size() && !aggregates[index].same_as(draft)) ++index;
  if (index == aggregates.size()) aggregates.push_back(std::move(draft));
  out.push_back({Kind::aggregate, "", name.offset, index});
  return std::nullopt;
}

std::optional<SqlError> ExpressionReader::check_function(std::span<const Token> tokens, std::size_t i) {
  const Token& t = tokens[i];
  std::string name = to_lower(t.text);
  if (is_time_function(name)) return check_time_function(tokens, i);
  if (is_scalar_function(name)) return std::nullopt;
  if (auto instead = unsupported_aggregate(name); !instead.empty()) {
    return error(t, name + " is not supported yet: " + std::string(instead) + ".", "not_supported");
  }
  if (is_window_function(name)) {
    return error(t, rows_ ? "A window function is of many rows, and each is looked at by itself: compare its columns."
                          : "Window functions cannot be kept up record by record: use them when reading the view.");
  }
  if (is_random_function(name)) {
    return error(t, name + "() gives something else each time, and " + std::string(why_the_same()) +
                        (rows_ ? ": compare columns." : ": use a field, _sequence or _time."));
  }
  std::string sentence = "There is no function " + name + ".";
  if (auto near = nearest_function(name); !near.empty()) sentence += " Did you mean " + std::string(near) + "?";
  return error(t, sentence);
}

std::optional<SqlError> ExpressionReader::check_time_function(std::span<const Token> tokens, std::size_t i) {
  const Token& t = tokens[i];
  std::string name = to_lower(t.text);
  std::size_t end = closing(tokens, i + 1);
  auto arguments = split_list(tokens.subspan(i + 2, end - i - 2));
  std::size_t value = name == "strftime" ? 1 : 0;
  if (arguments.size() <= value) {
    return error(t, name + " without a time reads the clock, and " + std::string(why_the_same()) + ": write " + name +
                        (value == 1 ? "('...', timestamp(x))." : "(timestamp(x))."));
  }
  auto time = arguments[value];
  bool literal = time.size() == 1 && time[0].kind == TokenKind::string && !is_string(time[0], "now");
  bool arrival = time.size() == 1 && time[0].is_name() && time[0].name() == "_time";
  bool pure_call = time.size() > 2 && time[0].kind == TokenKind::word && time[1].is('(') &&
                   closing(time, 1) == time.size() - 1 &&
                   (time[0].is_word("timestamp") || is_time_function(to_lower(time[0].text)));
  if (!literal && !arrival && !pure_call) {
    return error(time.empty() ? t : time[0], "Only a known time may go into " + name +
                                                 ", for the text 'now' would read the clock: write " + name +
                                                 (value == 1 ? "('...', timestamp(x))." : "(timestamp(x))."));
  }
  for (std::size_t k = value + 1; k < arguments.size(); ++k) {
    auto modifier = arguments[k];
    if (modifier.size() != 1 || modifier[0].kind != TokenKind::string || is_string(modifier[0], "localtime") ||
        is_string(modifier[0], "utc")) {
      return error(modifier.empty() ? t : modifier[0],
                   "A time's modifier is a text in quotes, and not 'localtime' or 'utc', which depend on the machine.");
    }
  }
  return std::nullopt;
}

}  // namespace tidemill::views
