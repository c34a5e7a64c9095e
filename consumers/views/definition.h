#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "consumers/views/expiry.h"
#include "consumers/views/views.h"
#include "engine/stream.h"

namespace tidemill::views {

class View;

// One aggregate call of the output list. Equal calls are one.
struct AggregateCall {
  std::string function;                  // lower case: count, sum, avg, min, max, first, last, collect ...
  bool distinct = false;                 // count(DISTINCT x)
  bool star = false;                     // count(*): no arguments
  std::vector<std::uint32_t> arguments;  // columns of the row stage, counted after the group terms
  std::optional<std::uint32_t> filter;   // likewise: 1 lets the row in
  std::uint64_t limit = 0;               // collect: how many members are kept, the last by order; map: how many
                                         // are shown, the first by key; else 0
  double fraction = 0;                   // quantile: from 0 to 1
  std::optional<std::uint32_t> shares;   // an earlier call whose state this one reads, with none of its own
  std::string type;                      // of the result: integer, real, text, json, any
  std::string text;                      // as written, for sentences
};

struct GroupTerm {
  std::string name;  // of the output column that shows it; as written where none does
  std::string type;
  std::string text;  // the expression
};

// Where an output column comes from. `group` and `aggregate` need no SQL to be read.
struct OutputColumn {
  enum class Source { group, aggregate, expression };
  std::string name;
  std::string type;
  Source source = Source::expression;
  std::uint32_t index = 0;           // of the group term, of the aggregate, or of the column of final_sql
  std::vector<std::uint32_t> needs;  // stored columns (0-based) that an expression reads
  bool always_text = false;          // no record can make it a number, as with ident(x)
};

// Another view that each record is looked up in. In row_sql they are the tables look1, look2, ...
struct Lookup {
  std::string view;
  std::string alias;      // as the definition calls it
  bool optional = false;  // LEFT JOIN: a record that finds nothing gives a row, too
  bool whole = false;     // by its whole key: one row at most
  std::string text;       // how it is read, in words
};

// A column of row_sql that is a field as it stands: there is nothing for SQL to work out.
struct PlainColumn {
  std::uint32_t column;      // of row_sql
  std::uint32_t field;       // of `fields`
  std::uint32_t begin, end;  // where it stands in row_sql
};

// The views that a definition looks up, in the order of its lookups.
using LookedUp = std::vector<std::shared_ptr<const View>>;

// What a view is, after its text was split once into two ordinary SQLite statements (DESIGN: views are SQL). A plain
// value; the text is what is kept in the system stream, all else is made from it.
//
// Stored columns are numbered: the group terms first, then the aggregates.
struct Definition {
  std::string name;  // of CREATE MATERIALIZED VIEW; empty for a bare SELECT
  bool if_not_exists = false;
  std::string stream;
  std::string text;     // as given
  std::string row_sql;  // SELECT group terms, arguments and filters FROM batch WHERE ...; columns f0, f1, ...
  std::vector<std::string> fields;  // what f0, f1, ... are: JSON field, path, or _sequence _shard _time _key data
  std::vector<PlainColumn> plain;   // in order
  std::uint32_t arguments = 0;      // columns of row_sql after the group terms
  std::vector<GroupTerm> groups;    // empty: one row over all
  std::vector<AggregateCall> aggregates;
  std::string final_sql;  // SELECT of the expressions only; stored column i is ?i+1. Empty: there are none
  std::vector<OutputColumn> columns;
  std::vector<Lookup> lookups;
  bool several_rows = false;          // one record may give several, by json_each or a lookup
  bool deterministic = true;          // a rebuild gives the same bytes; not with lookups
  std::optional<Expiry> expiry;       // nullopt: rows stay
  bool lineage = true;                // it is kept which records are in a row
  std::vector<std::string> warnings;  // sentences for who creates it

  std::vector<Column> output() const;  // `key` set where a column shows a group term
};

struct SplitOptions {
  // The stream's declared fields, where known: for result types and warnings only.
  std::map<std::string, FieldType, std::less<>> fields;
  // The views there are, for lookups; nullptr: there is none of that name. Its rows are not read.
  std::function<std::shared_ptr<const View>(std::string_view name)> view = {};
};

// Splits, prepares both statements once and refuses what cannot be kept up incrementally, with a sentence that says
// where (line, column) and what to write instead. Codes: invalid_view, not_supported. Any thread; milliseconds.
SqlResult<Definition> split(std::string_view sql, const SplitOptions& options = {});

// The views that a definition's text looks up, as far as it can be read.
std::vector<std::string> looked_up(std::string_view sql);

// The .sql files that are built into the program. nullopt: no such name.
std::optional<std::string_view> builtin_sql(std::string_view name);
std::vector<std::string_view> builtin_names();

}  // namespace tidemill::views
