#include "consumers/views/derivation.h"

#include <algorithm>
#include <set>

#include "consumers/views/clauses.h"
#include "consumers/views/expression.h"
#include "consumers/views/row_statement.h"
#include "consumers/views/statement.h"
#include "consumers/views/tokenizer.h"
#include "consumers/views/warnings.h"

namespace tidemill::views {
namespace {

using Kind = Part::Kind;

bool is_metadata(std::string_view name) {
  return name == "_sequence" || name == "_shard" || name == "_time" || name == "_key" || name == "data";
}

class Reader {
 public:
  Reader(std::string_view sql, const Clauses& clauses)
      : sql_(sql), clauses_(clauses), reader_(sql, {clauses.stream, clauses.alias}) {}

  std::optional<SqlError> read(Derivation& out) {
    if (clauses_.elements) {
      auto parts = reader_.read(clauses_.elements->arguments, ExpressionReader::Where::from);
      if (auto* e = std::get_if<SqlError>(&parts)) return *e;
      elements_ = std::get<Parts>(std::move(parts));
      reader_.read_elements_as(clauses_.elements->alias);
      out.rows.several_rows = true;
    }
    if (auto e = read_items(out)) return e;
    if (!clauses_.where.empty()) {
      auto parts = reader_.read(clauses_.where, ExpressionReader::Where::where);
      if (auto* e = std::get_if<SqlError>(&parts)) return *e;
      where_ = std::get<Parts>(std::move(parts));
    }
    make_row(out);
    return check(out);
  }

  void warn(const std::map<std::string, FieldType, std::less<>>& fields, std::vector<std::string>& warnings) const {
    ArithmeticWarnings arithmetic(fields);
    for (const Item& item : items_) arithmetic.look(item.parts, warnings);
    if (where_) arithmetic.look(*where_, warnings);
  }

 private:
  struct Item {
    std::string name;
    Parts parts;
  };

  std::optional<SqlError> read_items(Derivation& out) {
    std::set<std::string> names;
    for (const ItemText& text : clauses_.items) {
      const Token& first = text.expression.front();
      if (text.expression.size() == 1 && first.is('*')) {
        out.shape = Derivation::Shape::same;
        star_ = first.offset;
        continue;
      }
      auto read = reader_.read(text.expression, ExpressionReader::Where::output);
      if (auto* e = std::get_if<SqlError>(&read)) return *e;
      Item item{text.alias, std::get<Parts>(std::move(read))};
      for (const Part& p : item.parts) {
        if (p.kind != Kind::aggregate) continue;
        return error_at(sql_, p.offset,
                        "An aggregate needs many records, and each of a stream is made of one: write CREATE "
                        "MATERIALIZED VIEW for it.");
      }
      const bool plain =
          item.parts.size() == 1 && (item.parts[0].kind == Kind::column || item.parts[0].kind == Kind::element);
      if (item.name.empty() && !plain)
        return error_at(sql_, first.offset, "Name this column with AS: it becomes a field of the record.");
      if (item.name.empty()) item.name = item.parts[0].text;
      if (!names.insert(item.name).second)
        return error_at(sql_, first.offset,
                        "Two columns are called " + item.name + ": give one of them another name with AS.");
      if (item.name == "_key") {
        out.keyed = true;
        key_ = item.parts;
        continue;
      }
      if (is_metadata(item.name) && item.name != "data") {
        return error_at(sql_, first.offset,
                        "A stream gives its own records " + item.name + ": write " + item.name + " AS source" +
                            item.name + " for a field of that name.");
      }
      out.columns.push_back(item.name);
      items_.push_back(std::move(item));
    }
    if (out.shape == Derivation::Shape::same) {
      if (items_.empty()) return std::nullopt;
      return error_at(sql_, star_,
                      "* passes records on as they are, and only _key may stand beside it. To add a field, write "
                      "json_set(data, '$." +
                          items_[0].name + "', ...) AS data.");
    }
    if (items_.empty())
      return error_at(sql_, sql_.size(),
                      "The records need fields beside _key: write SELECT *, ... AS _key to pass them on as they are.");
    if (items_.size() == 1 && items_[0].name == "data")
      out.shape = Derivation::Shape::whole;
    else if (names.contains("data"))
      return error_at(sql_, sql_.size(),
                      "data alone is the whole record; beside other columns give it another name with AS.");
    return std::nullopt;
  }

  void render(const Parts& parts, Definition& out) {
    for (const Part& p : parts) {
      if (p.kind == Kind::column) {
        row_.add(p, "f" + std::to_string(field(p.text, out)));
      } else {
        row_.add(p, p.kind == Kind::element ? "element." + p.text : p.text);
      }
    }
  }
  static std::size_t field(const std::string& name, Definition& out) {
    const auto it = std::find(out.fields.begin(), out.fields.end(), name);
    const auto index = static_cast<std::size_t>(it - out.fields.begin());
    if (it == out.fields.end()) out.fields.push_back(name);
    return index;
  }

  void make_row(Derivation& out) {
    Definition& rows = out.rows;
    rows.name = out.name;
    rows.stream = out.source;
    row_.add("SELECT ");
    const char* comma = "";
    if (out.keyed) {
      render(key_, rows);
      rows.groups.push_back({"_key", "any", "_key"});
      comma = ", ";
    }
    for (const Item& item : items_) {
      row_.add(comma);
      comma = ", ";
      ++rows.arguments;
      if (out.shape == Derivation::Shape::whole) {
        render(item.parts, rows);
        continue;
      }
      // A field as it is keeps its spelling, and true stays true.
      if (item.parts.size() == 1 && item.parts[0].kind == Kind::column && !is_metadata(item.parts[0].text)) {
        row_.add(item.parts[0], "f" + std::to_string(field(kAsWritten + item.parts[0].text, rows)));
        continue;
      }
      row_.add("_json_member(");
      render(item.parts, rows);
      row_.add(")");
    }
    if (*comma == '\0') row_.add("1");
    row_.add(" FROM batch");
    if (elements_) {
      row_.add(clauses_.elements->optional ? " LEFT JOIN json_each(" : " CROSS JOIN json_each(");
      render(*elements_, rows);
      row_.add(") AS element");
    }
    if (where_) {
      row_.add(" WHERE ");
      render(*where_, rows);
    }
    rows.row_sql = row_.sql();
  }

  std::optional<SqlError> check(const Derivation& out) const {
    BatchTable table;
    table.columns = static_cast<std::uint32_t>(out.rows.fields.size());
    auto opened = Connection::open();
    if (auto* e = std::get_if<SqlError>(&opened)) return *e;
    auto row = prepare_row_statement(*std::get<0>(opened), table, out.rows.row_sql);
    const auto* e = std::get_if<PrepareError>(&row);
    if (e == nullptr) {
      std::get<Statement>(row).reset();
      return std::nullopt;
    }
    if (e->offset < 0) return SqlError{"invalid_view", e->message};
    return error_at(sql_, row_.origin(e->offset), e->message);
  }

  std::string_view sql_;
  const Clauses& clauses_;
  ExpressionReader reader_;
  std::vector<Item> items_;
  Parts key_;
  std::optional<Parts> where_;
  std::optional<Parts> elements_;
  std::size_t star_ = 0;
  Rendered row_;
};

}  // namespace

SqlResult<Derivation> read_derivation(std::string_view sql,
                                      const std::map<std::string, FieldType, std::less<>>& fields) {
  if (sql.size() > 64 << 10) return SqlError{"invalid_view", "A definition has at most 64 KiB."};
  auto tokens = tokenize(sql);
  if (auto* e = std::get_if<SqlError>(&tokens)) return *e;
  auto& list = std::get<0>(tokens);
  auto head = read_head(sql, list);
  if (auto* e = std::get_if<SqlError>(&head)) return *e;
  auto clauses = find_clauses(sql, list);
  if (auto* e = std::get_if<SqlError>(&clauses)) return *e;
  const auto& read = std::get<StatementHead>(head);
  const auto& found = std::get<Clauses>(clauses);
  Derivation out;
  out.name = found.name;
  out.if_not_exists = read.if_not_exists;
  out.source = found.stream;
  out.from = read.from;
  out.shards = read.shards;
  out.text = sql;
  Reader reader(sql, found);
  if (auto e = reader.read(out)) return *e;
  reader.warn(fields, out.rows.warnings);
  return out;
}

}  // namespace tidemill::views
