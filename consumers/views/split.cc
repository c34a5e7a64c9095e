#include <algorithm>
#include <numeric>
#include <set>

#include "consumers/views/clauses.h"
#include "consumers/views/definition.h"
#include "consumers/views/expiry_options.h"
#include "consumers/views/expression.h"
#include "consumers/views/lookup.h"
#include "consumers/views/result_types.h"
#include "consumers/views/row_statement.h"
#include "consumers/views/warnings.h"
#include "consumers/views/words.h"
#include "storage/base/check.h"

namespace tidemill::views {
namespace {

using Kind = Part::Kind;

struct Item {
  Parts parts;
  std::string name;
  std::string alias;
  std::size_t offset = 0;
};

class Splitter {
 public:
  Splitter(std::string_view sql, const SplitOptions& options, const Clauses& clauses)
      : sql_(sql),
        options_(options),
        clauses_(clauses),
        reader_(sql, {clauses.stream, clauses.alias}),
        types_(options.fields, reader_.lookups) {}

  std::optional<SqlError> run(Definition& out) {
    out.name = clauses_.name;
    out.if_not_exists = clauses_.if_not_exists;
    out.stream = clauses_.stream;
    out.text = sql_;
    if (auto e = read_elements(out)) return e;
    if (auto e = read_lookups(out)) return e;
    if (auto e = read_items()) return e;
    if (!clauses_.where.empty()) {
      auto parts = reader_.read(clauses_.where, ExpressionReader::Where::where);
      if (auto* e = std::get_if<SqlError>(&parts)) return *e;
      where_ = std::get<Parts>(parts);
      if (auto e = replace_aliases(*where_,
                                   "An aggregate cannot decide which records come in: filter the aggregate, as in "
                                   "sum(x) FILTER (WHERE y > 0), or filter the view's rows when reading."))
        return e;
    }
    if (auto e = read_groups(out)) return e;
    if (clauses_.group_by.empty() && reader_.aggregates.empty()) {
      return error_at(sql_, sql_.size(),
                      "GROUP BY is missing: it names the key of the view's rows. Without it a view has one row, made "
                      "of aggregates such as count(*).");
    }
    auto expiry = read_expiry(sql_, clauses_.expiry, out.groups);
    if (auto* e = std::get_if<SqlError>(&expiry)) return *e;
    out.expiry = std::get<0>(std::move(expiry));
    out.lineage = clauses_.lineage;
    if (auto e = make_final(out)) return e;
    make_row(out);
    warn(out);
    return check(out);
  }

 private:
  std::optional<SqlError> read_elements(Definition& out) {
    if (!clauses_.elements) return std::nullopt;
    auto parts = reader_.read(clauses_.elements->arguments, ExpressionReader::Where::from);
    if (auto* e = std::get_if<SqlError>(&parts)) return *e;
    elements_ = std::get<Parts>(parts);
    reader_.read_elements_as(clauses_.elements->alias);
    out.several_rows = true;
    return std::nullopt;
  }

  std::optional<SqlError> read_lookups(Definition& out) {
    for (const LookupText& text : clauses_.lookups) {
      if (!out.name.empty() && text.view == out.name) {
        return error_at(sql_, text.at,
                        "A view cannot look up itself: aggregates know a key's earlier records, as last(x) does.");
      }
      auto view = options_.view ? options_.view(text.view) : nullptr;
      if (!view) {
        return error_at(sql_, text.at,
                        "There is no view " + text.view +
                            ", and only views are looked up. For a stream create a view of it first that keeps what is "
                            "needed, as in SELECT id, last(name) AS name FROM " +
                            text.view + " GROUP BY id.",
                        "no_such_view");
      }
      reader_.look_up({text.alias, view->definition().output()});
      views_.push_back(std::move(view));
      out.lookups.push_back({text.view, text.alias, text.optional, false, {}});
      auto parts = reader_.read(text.on, ExpressionReader::Where::on);
      if (auto* e = std::get_if<SqlError>(&parts)) return *e;
      on_.push_back(std::get<Parts>(std::move(parts)));
    }
    out.deterministic = out.lookups.empty();
    return std::nullopt;
  }

  std::optional<SqlError> read_items() {
    std::set<std::string> names;
    for (const ItemText& text : clauses_.items) {
      auto parts = reader_.read(text.expression, ExpressionReader::Where::output);
      if (auto* e = std::get_if<SqlError>(&parts)) return *e;
      Item item;
      item.parts = std::move(std::get<Parts>(parts));
      item.alias = text.alias;
      item.offset = text.expression.front().offset;
      const Token& last = text.expression.back();
      item.name = text.alias;
      if (item.name.empty()) {
        item.name = item.parts.size() == 1 && is_field_or_element(item.parts[0])
                        ? item.parts[0].text
                        : std::string(sql_.substr(item.offset, last.offset + last.text.size() - item.offset));
      }
      if (!names.insert(to_lower(item.name)).second) {
        return error_at(sql_, item.offset,
                        "Two columns are called " + item.name + ": give one of them another name with AS.");
      }
      for (const Part& p : item.parts) note_column(p);
      items_.push_back(std::move(item));
    }
    for (const AggregateDraft& draft : reader_.aggregates) {
      for (const Parts& argument : draft.arguments) {
        for (const Part& p : argument) note_column(p);
      }
      if (!draft.filter) continue;
      for (const Part& p : *draft.filter) note_column(p);
    }
    return std::nullopt;
  }

  static bool is_field_or_element(const Part& p) {
    return p.kind == Kind::column || p.kind == Kind::element || p.kind == Kind::lookup;
  }
  std::string as_written(const Part& p) const {
    return p.kind == Kind::lookup ? clauses_.lookups[p.index].alias + "." + p.text : p.text;
  }

  void note_column(const Part& p) {
    if (p.kind == Kind::column) output_columns_.insert(p.text);
  }

  // SQLite lets WHERE and GROUP BY name an output column where the table has none of that name. Here the table has the
  // fields that the output list names.
  const Item* alias_of(const Part& p) const {
    if (p.kind != Kind::column || output_columns_.contains(p.text)) return nullptr;
    for (const Item& item : items_) {
      if (!item.alias.empty() && equal_ignoring_case(item.alias, p.text)) return &item;
    }
    return nullptr;
  }

  std::optional<SqlError> replace_aliases(Parts& parts, std::string_view if_aggregate) {
    Parts out;
    for (Part& p : parts) {
      const Item* item = alias_of(p);
      if (item == nullptr) {
        out.push_back(std::move(p));
        continue;
      }
      out.push_back({Kind::symbol, "(", p.offset});
      for (const Part& inner : item->parts) {
        if (inner.kind == Kind::aggregate) return error_at(sql_, p.offset, if_aggregate);
        out.push_back(inner);
        out.back().offset = p.offset;
      }
      out.push_back({Kind::symbol, ")", p.offset});
    }
    parts = std::move(out);
    return std::nullopt;
  }

  std::optional<SqlError> read_groups(Definition& out) {
    static constexpr std::string_view kAggregate =
        "An aggregate cannot be part of the key: group by fields of the record.";
    for (auto tokens : clauses_.group_by) {
      std::size_t offset = tokens.front().offset;
      auto read = reader_.read(tokens, ExpressionReader::Where::group_by);
      if (auto* e = std::get_if<SqlError>(&read)) return *e;
      Parts parts = without_outer_parentheses(std::move(std::get<Parts>(read)));
      std::string text(sql_.substr(offset, tokens.back().offset + tokens.back().text.size() - offset));
      std::string name = text;
      bool ordinal = parts.size() == 1 && parts[0].kind == Kind::literal &&
                     parts[0].text.find_first_not_of("0123456789") == std::string::npos;
      if (ordinal) {
        std::uint64_t n = parts[0].text.size() > 9 ? 0 : std::stoul(parts[0].text);
        if (n < 1 || n > items_.size()) {
          return error_at(sql_, offset,
                          "GROUP BY " + parts[0].text + " names an output column by its number, and there are " +
                              std::to_string(items_.size()) + ".");
        }
        parts = items_[n - 1].parts;
        name = items_[n - 1].name;
        if (std::any_of(parts.begin(), parts.end(), [](const Part& p) { return p.kind == Kind::aggregate; })) {
          return error_at(sql_, offset, kAggregate);
        }
      } else if (auto e = replace_aliases(parts, kAggregate)) {
        return e;
      }
      parts = without_outer_parentheses(std::move(parts));
      if (std::find(groups_.begin(), groups_.end(), parts) != groups_.end()) {
        return error_at(sql_, offset, "GROUP BY has this term twice: leave one out.");
      }
      for (const Item& item : items_) {
        if (without_outer_parentheses(item.parts) == parts) {
          name = item.name;
          break;
        }
      }
      warn_of_shadow(parts, out);
      out.groups.push_back({name, types_.of(parts), text});
      groups_.push_back(std::move(parts));
    }
    return std::nullopt;
  }

  void warn_of_shadow(const Parts& group, Definition& out) const {
    if (group.size() != 1 || group[0].kind != Kind::column) return;
    for (const Item& item : items_) {
      if (equal_ignoring_case(item.alias, group[0].text) && without_outer_parentheses(item.parts) != group) {
        out.warnings.push_back(
            "GROUP BY " + group[0].text + " means the field " + group[0].text +
            ", not the output column of that name: write the expression, or its number, to group by that.");
      }
    }
  }

  // Exchanges aggregates and group terms for stored columns; what column is left is refused.
  std::optional<SqlError> make_final(Definition& out) {
    std::vector<std::uint32_t> order(groups_.size());
    std::iota(order.begin(), order.end(), 0u);
    std::stable_sort(order.begin(), order.end(),
                     [&](auto a, auto b) { return groups_[a].size() > groups_[b].size(); });  // the longest first
    for (Item& item : items_) {
      std::string type = types_.of(item.parts);
      Parts parts = without_outer_parentheses(item.parts);
      for (Part& p : parts) {
        if (p.kind == Kind::aggregate)
          p = {Kind::stored, "", p.offset, static_cast<std::uint32_t>(groups_.size()) + p.index};
      }
      for (std::uint32_t g : order) parts = exchange(parts, groups_[g], g);
      OutputColumn column{item.name, type, OutputColumn::Source::expression, 0, {}, always_text(item.parts)};
      for (const Part& p : parts) {
        if (is_field_or_element(p)) {
          return error_at(sql_, p.offset,
                          as_written(p) +
                              " is neither in GROUP BY nor inside an aggregate, so it has many values in one row: add "
                              "it to GROUP BY, or write last(" +
                              as_written(p) + ").");
        }
        if (p.kind == Kind::stored) column.needs.push_back(p.index);
      }
      std::sort(column.needs.begin(), column.needs.end());
      column.needs.erase(std::unique(column.needs.begin(), column.needs.end()), column.needs.end());
      if (parts.size() == 1 && parts[0].kind == Kind::stored) {
        bool group = parts[0].index < groups_.size();
        column.source = group ? OutputColumn::Source::group : OutputColumn::Source::aggregate;
        column.index = group ? parts[0].index : parts[0].index - static_cast<std::uint32_t>(groups_.size());
        column.type = group ? out.groups[column.index].type : types_.of(reader_.aggregates[column.index]);
        column.always_text = group ? always_text(groups_[column.index]) : always_text(reader_.aggregates[column.index]);
      } else {
        column.index = expressions_++;
        final_.add(final_.sql().empty() ? "SELECT " : ", ");
        for (const Part& p : parts) final_.add(p, p.kind == Kind::stored ? placeholder(p.index) : p.text);
      }
      out.columns.push_back(std::move(column));
    }
    out.final_sql = final_.sql();
    return std::nullopt;
  }

  // A collected list or map is JSON to the JSON functions around it.
  std::string placeholder(std::uint32_t stored) const {
    std::string parameter = "?" + std::to_string(stored + 1);
    bool json = stored >= groups_.size() && gives_json(reader_.aggregates[stored - groups_.size()]);
    return json ? "json(" + parameter + ")" : parameter;
  }

  void render(const Parts& parts, Definition& out) {
    for (const Part& p : parts) {
      if (p.kind == Kind::lookup) {
        row_.add(p, lookup_table(p.index) + "." + quoted_name(p.text));
        continue;
      }
      if (p.kind != Kind::column) {
        row_.add(p, p.kind == Kind::element ? "element." + p.text : p.text);
        continue;
      }
      auto it = std::find(out.fields.begin(), out.fields.end(), p.text);
      auto index = it - out.fields.begin();
      if (it == out.fields.end()) out.fields.push_back(p.text);
      row_.add(p, "f" + std::to_string(index));
    }
  }

  // A column of the row stage, behind those that are there.
  void render_column(const std::string& wrap, const Parts& parts, std::uint32_t column, Definition& out) {
    if (column != 0) row_.add(", ");
    const auto begin = static_cast<std::uint32_t>(row_.sql().size());
    const bool is_group = column < groups_.size();
    if (!is_group) row_.add(wrap + "(");
    render(parts, out);
    if (!is_group) row_.add(wrap.empty() || wrap == "_json_member" ? ")" : ") IS TRUE");
    if (!wrap.empty() || parts.size() != 1 || parts[0].kind != Kind::column) return;
    const auto field = std::find(out.fields.begin(), out.fields.end(), parts[0].text) - out.fields.begin();
    out.plain.push_back(
        {column, static_cast<std::uint32_t>(field), begin, static_cast<std::uint32_t>(row_.sql().size())});
  }

  void make_row(Definition& out) {
    row_.add("SELECT ");
    std::uint32_t rendered = 0;
    for (const Parts& group : groups_) render_column("", group, rendered++, out);
    // Equal arguments are worked out once.
    struct Column {
      std::string wrap;
      Parts parts;
    };
    std::vector<Column> columns;
    auto column_of = [&](std::string wrap, const Parts& parts) {
      for (std::uint32_t i = 0; i < columns.size(); ++i) {
        if (columns[i].wrap == wrap && columns[i].parts == parts) return i;
      }
      render_column(wrap, parts, rendered++, out);
      columns.push_back({std::move(wrap), parts});
      return static_cast<std::uint32_t>(columns.size() - 1);
    };
    for (const AggregateDraft& draft : reader_.aggregates) {
      AggregateCall call;
      call.function = draft.function;
      call.distinct = draft.distinct;
      call.star = draft.star;
      call.type = types_.of(draft);
      call.text = draft.text;
      call.limit = draft.limit;
      call.fraction = draft.fraction;
      for (const Parts& argument : draft.arguments) {
        // A JSON function's result is kept as it is; anything else becomes JSON first.
        bool kept = gives_json(draft) && &argument == &draft.arguments.back();
        bool plain = !kept || (is_primary(argument) && types_.of(argument) == "json" && argument.size() > 1);
        call.arguments.push_back(column_of(plain ? "" : "_json_member", argument));
      }
      if (draft.filter) call.filter = column_of(" ", *draft.filter);
      call.shares = state_shared_by(call, out);
      out.aggregates.push_back(std::move(call));
    }
    out.arguments = static_cast<std::uint32_t>(columns.size());
    if (groups_.empty() && columns.empty()) row_.add("1");
    row_.add(" FROM batch");
    if (elements_) {
      // The batch stays the outer loop of the two, whatever SQLite's planner thinks of them.
      row_.add(clauses_.elements->optional ? " LEFT JOIN json_each(" : " CROSS JOIN json_each(");
      render(*elements_, out);
      row_.add(") AS element");
    }
    for (std::uint32_t i = 0; i < on_.size(); ++i) {
      row_.add(std::string(clauses_.lookups[i].optional ? " LEFT JOIN " : " CROSS JOIN ") + lookup_table(i));
      if (on_[i].empty()) continue;
      row_.add(" ON ");
      render(on_[i], out);
    }
    if (where_) {
      row_.add(" WHERE ");
      render(*where_, out);
    }
    out.row_sql = row_.sql();
  }

  static std::optional<std::uint32_t> state_shared_by(const AggregateCall& call, const Definition& out) {
    const std::string_view state = aggregate_state(call.function);
    for (std::uint32_t i = 0; !state.empty() && i < out.aggregates.size(); ++i) {
      const AggregateCall& other = out.aggregates[i];
      if (!other.shares && aggregate_state(other.function) == state && other.arguments == call.arguments &&
          other.filter == call.filter)
        return i;
    }
    return std::nullopt;
  }

  void warn(Definition& out) const {
    ArithmeticWarnings arithmetic(options_.fields);
    for (const AggregateDraft& draft : reader_.aggregates) {
      for (const Parts& argument : draft.arguments) arithmetic.look(argument, out.warnings);
      if (draft.filter) arithmetic.look(*draft.filter, out.warnings);
    }
    for (const Parts& group : groups_) arithmetic.look(group, out.warnings);
    for (const Parts& on : on_) arithmetic.look(on, out.warnings);
    if (where_) arithmetic.look(*where_, out.warnings);
    for (const std::string& name : reader_.bare_elements) {
      if (!options_.fields.contains(name)) continue;
      const std::string& stream = clauses_.alias.empty() ? clauses_.stream : clauses_.alias;
      out.warnings.push_back(name + " means json_each's, not the field of that name, which is " + stream + "." + name +
                             ".");
    }
  }

  // Lets SQLite prepare both statements: what the tokens did not show, its parser and authorizer do.
  std::optional<SqlError> check(Definition& out) const {
    QueryScope scope;
    BatchTable table;
    table.lookups = &scope;
    table.columns = static_cast<std::uint32_t>(out.fields.size());
    auto opened = Connection::open();
    if (auto* e = std::get_if<SqlError>(&opened)) return *e;
    Connection& connection = *std::get<0>(opened);
    auto at = [&](const PrepareError& e, const Rendered& from) {
      if (e.lookup) return error_at(sql_, clauses_.lookups[*e.lookup].at, e.message);
      if (e.offset < 0) return SqlError{"invalid_view", e.message};
      return error_at(sql_, from.origin(e.offset), e.message);
    };
    auto row = prepare_row_statement(connection, table, out.row_sql, views_);
    if (auto* e = std::get_if<PrepareError>(&row)) return at(*e, row_);
    std::get<Statement>(row).reset();
    if (auto e = read_plans(connection, table, out)) return at(*e, row_);
    if (!out.final_sql.empty()) {
      auto final = prepare_final_statement(connection, out.final_sql);
      if (auto* e = std::get_if<PrepareError>(&final)) return at(*e, final_);
    }
    return std::nullopt;
  }

  std::optional<PrepareError> read_plans(Connection& connection, BatchTable& table, Definition& out) const {
    if (views_.empty()) return std::nullopt;
    auto read = lookup_plans(connection, table, out.row_sql, views_);
    if (auto* e = std::get_if<PrepareError>(&read)) return *e;
    const auto& plans = std::get<0>(read);
    for (std::size_t i = 0; i < plans.size(); ++i) {
      out.lookups[i].whole = plans[i].whole;
      out.lookups[i].text = plans[i].words;
      out.several_rows = out.several_rows || !plans[i].whole;
    }
    return std::nullopt;
  }

  std::string_view sql_;
  const SplitOptions& options_;
  const Clauses& clauses_;
  ExpressionReader reader_;
  const ResultTypes types_;
  std::vector<Item> items_;
  std::set<std::string> output_columns_;
  std::optional<Parts> where_;
  std::optional<Parts> elements_;  // the arguments of json_each
  LookedUp views_;
  std::vector<Parts> on_;  // of each of them; empty: none
  std::vector<Parts> groups_;
  std::uint32_t expressions_ = 0;
  Rendered row_;
  Rendered final_;
};

}  // namespace

std::vector<Column> Definition::output() const {
  std::vector<Column> out;
  for (const OutputColumn& c : columns) out.push_back({c.name, c.type, c.source == OutputColumn::Source::group});
  return out;
}

std::vector<std::string> looked_up(std::string_view sql) {
  std::vector<std::string> out;
  auto tokens = tokenize(sql);
  if (std::holds_alternative<SqlError>(tokens)) return out;
  auto clauses = find_clauses(sql, std::get<0>(tokens));
  if (std::holds_alternative<SqlError>(clauses)) return out;
  for (const LookupText& lookup : std::get<Clauses>(clauses).lookups) out.push_back(lookup.view);
  return out;
}

SqlResult<Definition> split(std::string_view sql, const SplitOptions& options) {
  if (sql.size() > 64 << 10) return SqlError{"invalid_view", "A definition has at most 64 KiB."};
  auto tokens = tokenize(sql);
  if (auto* e = std::get_if<SqlError>(&tokens)) return *e;
  auto clauses = find_clauses(sql, std::get<0>(tokens));
  if (auto* e = std::get_if<SqlError>(&clauses)) return *e;
  if (std::get<Clauses>(clauses).of_stream)
    return error_at(sql, 0, "This makes a stream, not a view: send it to POST /v1/sql, or tidemill sql.");
  Definition out;
  if (auto e = Splitter(sql, options, std::get<Clauses>(clauses)).run(out)) return *e;
  return out;
}

}  // namespace tidemill::views
