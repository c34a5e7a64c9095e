#include "consumers/views/query_table.h"

#include <sqlite3.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string>
#include <vector>

#include "consumers/views/cell.h"
#include "consumers/views/key_ranges.h"
#include "consumers/views/query_explain.h"
#include "consumers/views/sqlite_cell.h"
#include "consumers/views/tokenizer.h"
#include "storage/base/hash.h"

namespace tidemill::views {
namespace {

// How one constraint is used. The plan is their letters, in order of the arguments, behind the flags:
//   idxStr = "<D or A><wanted columns, hex>:<op><term>,..."
enum class Op : char {
  equal = 'E',
  in = 'I',
  maybe = 'e',  // an equality that may be one of numbers: it fixes nothing
  is_null = 'N',
  above = 'G',
  from = 'g',
  below = 'L',
  to = 'l',
  glob = 'P'
};

struct Argument {
  Op op;
  int term;
};

struct Table {
  sqlite3_vtab base;
  std::shared_ptr<const View> view;
  QueryScope* scope;
};

struct TableCursor {
  sqlite3_vtab_cursor base;
  std::optional<RowReader> reader;
  std::unique_ptr<Cursor> cursor;
  std::vector<KeyRanges::Range> ranges;
  std::size_t range = 0;
  bool whole_keys = false;           // each range is one row's
  std::optional<std::string> found;  // that row
  bool descending = false;
  bool end = true;
  Row row;
  bool row_ready = false;
};

struct Aux {
  std::shared_ptr<const View> view;
  QueryScope* scope;
};

Table& table(sqlite3_vtab* t) {
  return *reinterpret_cast<Table*>(t);
}
TableCursor& cursor(sqlite3_vtab_cursor* c) {
  return *reinterpret_cast<TableCursor*>(c);
}

int connect(sqlite3* db, void* aux_pointer, int, const char* const*, sqlite3_vtab** out, char**) {
  const auto& aux = *static_cast<Aux*>(aux_pointer);
  std::string schema = "CREATE TABLE x(";
  const auto& columns = aux.view->definition().columns;
  for (std::size_t i = 0; i < columns.size(); ++i)
    schema += (i == 0 ? "" : ",") + quoted_name(columns[i].name) + (columns[i].always_text ? " TEXT" : "");
  schema += ")";
  const int rc = sqlite3_declare_vtab(db, schema.c_str());
  if (rc != SQLITE_OK) return rc;
  auto t = std::make_unique<Table>();
  t->base = {};
  t->view = aux.view;
  t->scope = aux.scope;
  *out = &t.release()->base;
  return SQLITE_OK;
}

int disconnect(sqlite3_vtab* t) {
  delete &table(t);
  return SQLITE_OK;
}

// Which group term an output column shows; -1: it shows none.
int term_of(const View& view, int column) {
  if (column < 0) return -1;
  const OutputColumn& c = view.definition().columns[static_cast<std::size_t>(column)];
  return c.source == OutputColumn::Source::group ? static_cast<int>(c.index) : -1;
}

// SQLite hands the value over as it was written: what the affinity TEXT of a column makes of it, is ours to do.
bool always_text(const View& view, int term) {
  const auto& columns = view.definition().columns;
  return std::any_of(columns.begin(), columns.end(), [&](const OutputColumn& c) {
    return c.source == OutputColumn::Source::group && static_cast<int>(c.index) == term && c.always_text;
  });
}

std::string_view key_of(const TableCursor& c) {
  return c.whole_keys ? std::string_view(c.ranges[c.range - 1].lower) : c.cursor->key();
}
std::string_view value_of(const TableCursor& c) {
  return c.whole_keys ? std::string_view(*c.found) : c.cursor->value();
}

Cell operand(sqlite3_value* value, bool as_text) {
  const int type = sqlite3_value_type(value);
  if (as_text && (type == SQLITE_INTEGER || type == SQLITE_FLOAT))
    return Cell::text(reinterpret_cast<const char*>(sqlite3_value_text(value)));
  return cell_of(value);
}

// May SQLite compare it with a text as numbers?
bool as_number(NumericCasts casts, sqlite3_value* value) {
  const int type = sqlite3_value_type(value);
  if (type == SQLITE_TEXT) return casts == NumericCasts::any;
  return casts != NumericCasts::none && (type == SQLITE_INTEGER || type == SQLITE_FLOAT);
}

// Is it known already that the constraint's value is not that?
bool plain_equality(NumericCasts casts, sqlite3_index_info* info, int constraint) {
  if (casts == NumericCasts::none) return true;
  sqlite3_value* value = nullptr;  // of a constant
  return sqlite3_vtab_rhs_value(info, constraint, &value) == SQLITE_OK && sqlite3_value_type(value) == SQLITE_TEXT;
}

// For each term: the constraint that fixes it, the bounds, a pattern. -1: none.
struct Found {
  int equal = -1, maybe = -1, in = -1, null = -1, low = -1, high = -1, glob = -1;
};

std::string term_name(const View& view, int term) {
  for (const OutputColumn& c : view.definition().columns)
    if (c.source == OutputColumn::Source::group && static_cast<int>(c.index) == term) return c.name;
  return "key " + std::to_string(term + 1);
}

// What a plan reads, for EXPLAIN SELECT. `fixed` terms are, the next one as `f` says.
std::string in_words(const View& view, int fixed, const Found& f, bool strict_low, bool strict_high, bool ordered,
                     bool descending) {
  const int terms = static_cast<int>(view.definition().groups.size());
  std::string names;
  for (int i = 0; i < fixed; ++i) names += (i == 0 ? "" : ", ") + term_name(view, i);
  const std::string of = " of " + view.name();
  const std::string name = fixed < terms ? term_name(view, fixed) : "";
  std::string out;
  if (fixed == terms && terms > 0) {
    out = "one row" + of + " by its whole key (" + names + ")";
  } else if (f.in >= 0 || f.maybe >= 0) {
    const std::string given = fixed == 0 ? "" : " (" + names + " given)";
    out = f.in >= 0 ? "a read" + of + " for each entry of the IN list of " + name + given
                    : "the rows" + of + " by " + name + given + ", all where the value is a number";
  } else if (f.glob >= 0 || f.low >= 0 || f.high >= 0) {
    out = "a range" + of + ": ";
    // Of a pattern SQLite makes bounds, too: its beginning says it all.
    if (f.glob >= 0) out += name + " begins as the pattern does";
    if (f.glob < 0 && f.low >= 0) out += name + (strict_low ? " >" : " >=");
    if (f.glob < 0 && f.high >= 0) out += (f.low >= 0 ? ", " : "") + name + (strict_high ? " <" : " <=");
    if (fixed > 0) out += " (" + names + " given)";
  } else if (fixed > 0) {
    out = "the rows" + of + " whose key begins with " + names;
  } else {
    out = "the whole view" + (view.name().empty() ? "" : " " + view.name());
  }
  if (ordered) out += std::string(", in the order asked for without sorting") + (descending ? ", backwards" : "");
  return out;
}

int best_index(sqlite3_vtab* t, sqlite3_index_info* info) {
  const View& view = *table(t).view;
  auto& used = table(t).scope->used;
  if (std::find(used.begin(), used.end(), &view) == used.end()) used.push_back(&view);
  const NumericCasts casts = table(t).scope->casts;
  const int terms = static_cast<int>(view.definition().groups.size());
  const double all = 1'000'000;  // nobody counts them for a plan; the ratios are what matters

  std::vector<Found> found(static_cast<std::size_t>(terms));
  for (int i = 0; i < info->nConstraint; ++i) {
    const auto& c = info->aConstraint[i];
    const int term = term_of(view, c.iColumn);
    if (term < 0 || !c.usable) continue;
    if (c.op != SQLITE_INDEX_CONSTRAINT_GLOB && std::strcmp(sqlite3_vtab_collation(info, i), "BINARY") != 0) continue;
    Found& f = found[static_cast<std::size_t>(term)];
    switch (c.op) {
      case SQLITE_INDEX_CONSTRAINT_EQ:
        (sqlite3_vtab_in(info, i, -1) ? f.in : plain_equality(casts, info, i) ? f.equal : f.maybe) = i;
        break;
      case SQLITE_INDEX_CONSTRAINT_ISNULL:
        f.null = i;
        break;
      case SQLITE_INDEX_CONSTRAINT_GT:
      case SQLITE_INDEX_CONSTRAINT_GE:
        f.low = i;
        break;
      case SQLITE_INDEX_CONSTRAINT_LT:
      case SQLITE_INDEX_CONSTRAINT_LE:
        f.high = i;
        break;
      case SQLITE_INDEX_CONSTRAINT_GLOB:
        f.glob = i;
        break;
      default:
        break;
    }
  }

  std::string plan;
  int arguments = 0;
  const auto use = [&](int constraint, Op op, int term) {
    info->aConstraintUsage[constraint].argvIndex = ++arguments;
    plan += static_cast<char>(op);
    plan += std::to_string(term);
    plan += ',';
  };
  double rows = all;
  int fixed = 0;
  for (; fixed < terms; ++fixed) {
    const Found& f = found[static_cast<std::size_t>(fixed)];
    if (f.equal >= 0) {
      use(f.equal, Op::equal, fixed);
    } else if (f.null >= 0) {
      use(f.null, Op::is_null, fixed);
    } else {
      break;
    }
    rows = fixed + 1 == terms ? 1 : std::max(2.0, rows / 100);
  }
  if (fixed == terms) info->idxFlags = SQLITE_INDEX_SCAN_UNIQUE;
  if (fixed < terms) {
    const Found& f = found[static_cast<std::size_t>(fixed)];
    if (f.in >= 0) {
      sqlite3_vtab_in(info, f.in, 1);  // the whole list at once
      use(f.in, Op::in, fixed);
      rows = std::max(4.0, rows / 50);
    } else if (f.maybe >= 0) {
      use(f.maybe, Op::maybe, fixed);
      rows = std::max(4.0, rows / 50);
    } else {
      if (f.glob >= 0) {
        use(f.glob, Op::glob, fixed);
        rows /= 10;
      }
      if (f.low >= 0) {
        use(f.low, info->aConstraint[f.low].op == SQLITE_INDEX_CONSTRAINT_GT ? Op::above : Op::from, fixed);
        rows /= 4;
      }
      if (f.high >= 0) {
        use(f.high, info->aConstraint[f.high].op == SQLITE_INDEX_CONSTRAINT_LT ? Op::below : Op::to, fixed);
        rows /= 4;
      }
    }
  }

  // The stored order is the order of the terms; those that are fixed may stand anywhere in ORDER BY or be left out.
  bool ordered = info->nOrderBy > 0;
  bool descending = false;
  int expected = 0;
  bool direction_known = false;
  for (int i = 0; i < info->nOrderBy && ordered; ++i) {
    const int term = term_of(view, info->aOrderBy[i].iColumn);
    if (term < 0) {
      ordered = false;
      break;
    }
    if (term < fixed) continue;
    expected = std::max(expected, fixed);
    if (term != expected) ordered = false;
    ++expected;
    if (!direction_known) {
      descending = info->aOrderBy[i].desc != 0;
      direction_known = true;
    } else if (descending != (info->aOrderBy[i].desc != 0)) {
      ordered = false;
    }
  }
  info->orderByConsumed = ordered ? 1 : 0;
  info->estimatedRows = static_cast<sqlite3_int64>(std::max(1.0, rows));
  info->estimatedCost = rows;

  char wanted[24];
  const auto end = std::to_chars(wanted, wanted + sizeof wanted, info->colUsed, 16).ptr;
  plan = std::string(ordered && descending ? "D" : "A") + std::string(wanted, end) + ":" + plan;
  if (table(t).scope->explain) {
    const Found next = fixed < terms ? found[static_cast<std::size_t>(fixed)] : Found();
    const auto is = [&](int constraint, int op) { return constraint >= 0 && info->aConstraint[constraint].op == op; };
    plan += kInWords + in_words(view, fixed, next, is(next.low, SQLITE_INDEX_CONSTRAINT_GT),
                                is(next.high, SQLITE_INDEX_CONSTRAINT_LT), ordered, descending);
  }
  info->idxStr = sqlite3_mprintf("%s", plan.c_str());
  info->needToFreeIdxStr = 1;
  return info->idxStr == nullptr ? SQLITE_NOMEM : SQLITE_OK;
}

int open_cursor(sqlite3_vtab*, sqlite3_vtab_cursor** out) {
  auto c = std::make_unique<TableCursor>();
  c->base = {};
  *out = &c.release()->base;
  return SQLITE_OK;
}

int close_cursor(sqlite3_vtab_cursor* c) {
  delete &cursor(c);
  return SQLITE_OK;
}

int fail(TableCursor& c, const ErrorCode& error) {
  table(c.base.pVtab).scope->error = error;
  return SQLITE_IOERR;
}

void move_on(TableCursor& c) {
  if (c.descending) {
    c.cursor->previous();
  } else {
    c.cursor->next();
  }
}

// Stands on the next row of the ranges, or at the end.
int settle(TableCursor& c) {
  Table& t = table(c.base.pVtab);
  c.row_ready = false;
  for (;;) {
    if (c.cursor && c.cursor->valid()) {
      if (++t.scope->rows_visited > t.scope->rows_visited_max) return SQLITE_ABORT;
      if (!c.reader->gone(c.cursor->value())) return SQLITE_OK;
      move_on(c);
      continue;
    }
    if (c.cursor && c.cursor->error()) return fail(c, c.cursor->error());
    if (c.found) {
      ++t.scope->rows_visited;
      if (!c.reader->gone(*c.found)) return SQLITE_OK;
      c.found.reset();
    }
    if (c.range == c.ranges.size()) {
      c.end = true;
      c.cursor.reset();
      return SQLITE_OK;
    }
    const auto& range = c.ranges[c.range++];
    if (c.whole_keys) {  // there is a filter for whole keys, and none for ranges
      auto found = t.scope->snapshot->get(*t.view->family(), range.lower);
      if (!found) return fail(c, found.error());
      c.found = std::move(*found);
      continue;
    }
    c.cursor = t.scope->snapshot->cursor(*t.view->family(), range.lower, range.upper);
    if (c.descending) c.cursor->seek_to_last();
  }
}

std::string glob_prefix(std::string_view pattern) {
  return std::string(pattern.substr(0, pattern.find_first_of("*?[")));
}

int filter(sqlite3_vtab_cursor* base, int, const char* plan_text, int, sqlite3_value** values) {
  TableCursor& c = cursor(base);
  Table& t = table(base->pVtab);
  c.ranges.clear();
  c.range = 0;
  c.end = false;
  c.cursor.reset();
  c.found.reset();
  std::string_view plan(plan_text);
  c.descending = plan[0] == 'D';
  const std::size_t colon = plan.find(':');
  if (!c.reader) {  // a cursor keeps its plan
    std::uint64_t used = 0;
    std::from_chars(plan.data() + 1, plan.data() + colon, used, 16);
    const std::size_t columns = t.view->definition().columns.size();
    const auto wanted = std::make_unique<bool[]>(columns);
    for (std::size_t i = 0; i < columns; ++i) wanted[i] = (used >> std::min<std::size_t>(i, 63)) & 1;
    auto reader = RowReader::open(*t.view, *t.scope->snapshot, {wanted.get(), columns});
    if (!reader) return fail(c, reader.error());
    c.reader.emplace(std::move(*reader));
  }

  KeyRanges ranges;
  std::size_t fixed = 0;
  const auto one_of = [&](std::span<const Cell> values) {
    ranges.one_of(values);
    ++fixed;
  };
  const NumericCasts casts = t.scope->casts;
  int argument = 0;
  for (std::string_view rest = plan.substr(colon + 1); !rest.empty() && rest[0] != kInWords; ++argument) {
    const Op op = static_cast<Op>(rest[0]);
    int term = 0;
    std::from_chars(rest.data() + 1, rest.data() + rest.find(','), term);
    const bool as_text = always_text(*t.view, term);
    rest = rest.substr(rest.find(',') + 1);
    sqlite3_value* value = values[argument];
    switch (op) {
      case Op::is_null:
        one_of({{Cell()}});
        break;
      case Op::equal:
        one_of({{operand(value, as_text)}});
        break;
      case Op::maybe:
        if (!as_number(casts, value)) one_of({{operand(value, as_text)}});
        break;
      case Op::in: {
        // SQLite may use the memory of one for the next.
        std::vector<Value> kept;
        sqlite3_value* one = nullptr;
        bool numbers = false;
        int rc = sqlite3_vtab_in_first(value, &one);
        for (; rc == SQLITE_OK; rc = sqlite3_vtab_in_next(value, &one)) {
          numbers |= as_number(casts, one);
          kept.push_back(to_value(operand(one, as_text)));
        }
        if (rc != SQLITE_DONE) return rc;
        if (numbers) break;
        std::vector<Cell> list;
        for (const Value& v : kept) list.push_back(to_cell(v));
        one_of(list);
        break;
      }
      case Op::above:
      case Op::from:
        // All text lies above a number that is not taken for text, as another column's is.
        if (!as_number(casts, value) && (!as_text || sqlite3_value_type(value) == SQLITE_TEXT))
          ranges.at_least(operand(value, as_text), op == Op::above);
        break;
      case Op::below:
      case Op::to:
        // All text lies below a blob.
        if (!as_number(casts, value) && sqlite3_value_type(value) != SQLITE_BLOB)
          ranges.at_most(operand(value, as_text), op == Op::below);
        break;
      case Op::glob: {
        if (sqlite3_value_type(value) != SQLITE_TEXT) break;
        // Numbers, where the column may hold one, have a text of their own that a pattern may fit, so they stay in.
        const std::string literal = glob_prefix(reinterpret_cast<const char*>(sqlite3_value_text(value)));
        if (literal.empty() || (!as_text && std::strchr("0123456789-.IN", literal[0]) != nullptr)) break;
        ranges.begins_with(literal);
        break;
      }
    }
  }
  c.ranges = ranges.take();
  c.whole_keys = fixed > 0 && fixed == t.view->definition().groups.size();
  if (c.descending) std::reverse(c.ranges.begin(), c.ranges.end());
  return settle(c);
}

int next_row(sqlite3_vtab_cursor* base) {
  TableCursor& c = cursor(base);
  if (c.whole_keys) {
    c.found.reset();
  } else {
    move_on(c);
  }
  return settle(c);
}

int at_end(sqlite3_vtab_cursor* base) {
  return cursor(base).end ? 1 : 0;
}

int column(sqlite3_vtab_cursor* base, sqlite3_context* context, int index) {
  TableCursor& c = cursor(base);
  if (!c.row_ready) {
    const auto shown = c.reader->show(key_of(c).substr(1), value_of(c), c.row);
    if (!shown) return fail(c, shown.error());
    c.row_ready = true;
  }
  const Value& value = c.row[static_cast<std::size_t>(index)];
  result_cell(context, to_cell(value), TextIs::copied);
  return SQLITE_OK;
}

// Rows have keys, not numbers, but SQLite tells them apart by number where it takes the branches of an OR one by one. A
// 64-bit hash of the key: two of a million rows that an OR gives share one with a probability of 3 in 10^8.
int row_id(sqlite3_vtab_cursor* base, sqlite3_int64* out) {
  *out = static_cast<sqlite3_int64>(xxh3(key_of(cursor(base))));
  return SQLITE_OK;
}

const sqlite3_module kModule = [] {
  sqlite3_module m{};
  m.iVersion = 1;
  m.xCreate = connect;
  m.xConnect = connect;
  m.xBestIndex = best_index;
  m.xDisconnect = disconnect;
  m.xDestroy = disconnect;
  m.xOpen = open_cursor;
  m.xClose = close_cursor;
  m.xFilter = filter;
  m.xNext = next_row;
  m.xEof = at_end;
  m.xColumn = column;
  m.xRowid = row_id;
  return m;
}();

// The type's name decides, as SQLite reads it.
bool is_number(std::string_view type) {
  const std::string name = to_upper(type);
  const auto has = [&](std::string_view part) { return name.find(part) != std::string::npos; };
  return has("INT") || !(has("CHAR") || has("CLOB") || has("TEXT") || has("BLOB"));
}

}  // namespace

NumericCasts numeric_casts(std::string_view sql) {
  const auto tokenized = tokenize(sql);
  const auto* tokens = std::get_if<std::vector<Token>>(&tokenized);
  if (tokens == nullptr) return NumericCasts::any;
  std::vector<bool> open;  // parentheses; true: a CAST's
  std::string type;        // what stands behind the latest AS
  bool numbers = false;
  bool compound = false;
  for (std::size_t i = 0; i < tokens->size(); ++i) {
    const Token& token = (*tokens)[i];
    if (token.is('(')) {
      open.push_back(i > 0 && (*tokens)[i - 1].is_word("CAST"));
    } else if (token.is(')') && !open.empty()) {
      numbers |= open.back() && is_number(type);
      open.pop_back();
    } else if (token.is_word("AS")) {
      type.clear();
    } else {
      type += token.name();
    }
    for (const char* word : {"UNION", "INTERSECT", "EXCEPT", "VALUES"}) compound |= token.is_word(word);
  }
  if (!numbers) return NumericCasts::none;
  return compound ? NumericCasts::any : NumericCasts::numbers;
}

int add_view_table(sqlite3* db, std::shared_ptr<const View> view, QueryScope* scope, std::string name) {
  if (name.empty()) name = view->name();
  const std::string module = "view_" + name;
  const std::string create = "CREATE VIRTUAL TABLE " + quoted_name(name) + " USING " + quoted_name(module);
  auto aux = std::make_unique<Aux>(Aux{std::move(view), scope});
  const int rc = sqlite3_create_module_v2(db, module.c_str(), &kModule, aux.release(),
                                          [](void* p) { delete static_cast<Aux*>(p); });
  if (rc != SQLITE_OK) return rc;
  return sqlite3_exec(db, create.c_str(), nullptr, nullptr, nullptr);
}

}  // namespace tidemill::views
