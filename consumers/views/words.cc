#include "consumers/views/words.h"

#include <algorithm>
#include <array>
#include <string>
#include <unordered_map>
#include <vector>

#include "consumers/views/tokenizer.h"
#include "storage/base/text.h"

namespace tidemill::views {
namespace {

constexpr std::string_view kKeywords[] = {
    "AND",      "AS",   "BETWEEN", "CASE",   "CAST",  "COLLATE", "CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP",
    "ELSE",     "END",  "ESCAPE",  "EXISTS", "FALSE", "GLOB",    "IN",           "IS",           "ISNULL",
    "LIKE",     "NOT",  "NOTNULL", "NULL",   "OR",    "REGEXP",  "THEN",         "TRUE",         "WHEN",
    "DISTINCT", "FROM", "MATCH"};

struct Function {
  std::string_view name;
  std::string_view type;
};
// Everything here gives the same for the same arguments, on every machine (the transcendental ones: on every machine
// with the same C library).
constexpr Function kFunctions[] = {{"ident", "text"},
                                   {"timestamp", "text"},
                                   {"number", "real"},
                                   // core
                                   {"abs", "any"},
                                   {"char", "text"},
                                   {"coalesce", "any"},
                                   {"format", "text"},
                                   {"glob", "integer"},
                                   {"hex", "text"},
                                   {"ifnull", "any"},
                                   {"iif", "any"},
                                   {"instr", "integer"},
                                   {"length", "integer"},
                                   {"like", "integer"},
                                   {"likelihood", "any"},
                                   {"likely", "any"},
                                   {"lower", "text"},
                                   {"ltrim", "text"},
                                   {"max", "any"},
                                   {"min", "any"},
                                   {"nullif", "any"},
                                   {"printf", "text"},
                                   {"quote", "text"},
                                   {"replace", "text"},
                                   {"round", "real"},
                                   {"rtrim", "text"},
                                   {"sign", "integer"},
                                   {"substr", "text"},
                                   {"substring", "text"},
                                   {"trim", "text"},
                                   {"typeof", "text"},
                                   {"unicode", "integer"},
                                   {"unlikely", "any"},
                                   {"upper", "text"},
                                   // mathematics
                                   {"acos", "real"},
                                   {"acosh", "real"},
                                   {"asin", "real"},
                                   {"asinh", "real"},
                                   {"atan", "real"},
                                   {"atan2", "real"},
                                   {"atanh", "real"},
                                   {"ceil", "any"},
                                   {"ceiling", "any"},
                                   {"cos", "real"},
                                   {"cosh", "real"},
                                   {"degrees", "real"},
                                   {"exp", "real"},
                                   {"floor", "any"},
                                   {"ln", "real"},
                                   {"log", "real"},
                                   {"log10", "real"},
                                   {"log2", "real"},
                                   {"mod", "real"},
                                   {"pi", "real"},
                                   {"pow", "real"},
                                   {"power", "real"},
                                   {"radians", "real"},
                                   {"sin", "real"},
                                   {"sinh", "real"},
                                   {"sqrt", "real"},
                                   {"tan", "real"},
                                   {"tanh", "real"},
                                   {"trunc", "any"},
                                   // JSON
                                   {"json", "json"},
                                   {"json_array", "json"},
                                   {"json_array_length", "integer"},
                                   {"json_extract", "any"},
                                   {"json_insert", "json"},
                                   {"json_object", "json"},
                                   {"json_patch", "json"},
                                   {"json_quote", "json"},
                                   {"json_remove", "json"},
                                   {"json_replace", "json"},
                                   {"json_set", "json"},
                                   {"json_type", "text"},
                                   {"json_valid", "integer"},
                                   // time, over timestamp(x)
                                   {"date", "text"},
                                   {"time", "text"},
                                   {"datetime", "text"},
                                   {"julianday", "real"},
                                   {"strftime", "text"},
                                   {"unixepoch", "integer"}};

const Function* find_function(std::string_view name) {
  static const auto* table = [] {
    auto* t = new std::unordered_map<std::string_view, const Function*>;
    for (const Function& f : kFunctions) t->emplace(f.name, &f);
    return t;
  }();
  auto it = table->find(name);
  return it == table->end() ? nullptr : it->second;
}

bool is_one_of(std::string_view word, auto const& list) {
  return std::find(std::begin(list), std::end(list), word) != std::end(list);
}

}  // namespace

bool is_expression_keyword(std::string_view word) {
  return is_one_of(to_upper(word), kKeywords);
}

namespace {

struct AggregateFunction {
  std::string_view name;
  std::string_view arguments;  // as a sentence says them; more than one has a comma
  std::string_view state;      // calls of one kind over the same arguments share their state; empty: none does
};
constexpr AggregateFunction kAggregates[] = {{"count", "x", ""},
                                             {"sum", "x", ""},
                                             {"avg", "x", ""},
                                             {"min", "x", ""},
                                             {"max", "x", ""},
                                             {"first", "x", ""},
                                             {"last", "x", ""},
                                             {"collect", "x", ""},
                                             {"arg_min", "x, by", ""},
                                             {"arg_max", "x, by", ""},
                                             {"approx_count_distinct", "x", ""},
                                             {"quantile", "x, 0.95", "quantile"},
                                             {"median", "x", "quantile"},
                                             {"map", "key, value", ""},
                                             {"stddev", "x", "spread"},
                                             {"stddev_samp", "x", "spread"},
                                             {"stddev_pop", "x", "spread"},
                                             {"variance", "x", "spread"},
                                             {"var_samp", "x", "spread"},
                                             {"var_pop", "x", "spread"}};

const AggregateFunction* find_aggregate(std::string_view f) {
  auto it = std::find_if(std::begin(kAggregates), std::end(kAggregates), [&](const auto& a) { return a.name == f; });
  return it == std::end(kAggregates) ? nullptr : it;
}

}  // namespace

bool is_aggregate(std::string_view f) {
  return find_aggregate(f) != nullptr;
}

std::string_view aggregate_arguments(std::string_view f) {
  const auto* found = find_aggregate(f);
  return found == nullptr ? "" : found->arguments;
}

std::string_view aggregate_state(std::string_view f) {
  const auto* found = find_aggregate(f);
  return found == nullptr ? "" : found->state;
}

std::string_view unsupported_aggregate(std::string_view f) {
  static constexpr struct {
    std::string_view name, instead;
  } kTable[] = {{"total", "write sum(x), or coalesce(sum(x), 0)"},
                {"group_concat", "write collect(x), which gives a JSON array in order of sequence"},
                {"string_agg", "write collect(x), which gives a JSON array in order of sequence"},
                {"array_agg", "write collect(x)"},
                {"json_group_array", "write collect(x)"},
                {"json_group_object", "write map(key, value)"},
                {"object_agg", "write map(key, value)"},
                {"map_agg", "write map(key, value)"},
                {"any_value", "write first(x)"},
                {"every", "write min(x)"},
                {"bool_and", "write min(x)"},
                {"bool_or", "write max(x)"},
                {"mean", "write avg(x)"},
                {"first_value", "write first(x)"},
                {"last_value", "write last(x)"},
                {"min_by", "write arg_min(x, by)"},
                {"max_by", "write arg_max(x, by)"},
                {"percentile", "write quantile(x, 0.95)"},
                {"percentile_cont", "write quantile(x, 0.95)"},
                {"percentile_disc", "write quantile(x, 0.95)"},
                {"quantile_cont", "write quantile(x, 0.95)"},
                {"approx_quantile", "write quantile(x, 0.95)"},
                {"approx_percentile", "write quantile(x, 0.95)"},
                {"approx_distinct", "write approx_count_distinct(x)"},
                {"mode", "write collect(x) and work it out when reading"}};
  for (const auto& row : kTable) {
    if (row.name == f) return row.instead;
  }
  return {};
}

bool is_window_function(std::string_view f) {
  static constexpr std::string_view kNames[] = {"row_number", "rank", "dense_rank", "percent_rank", "cume_dist",
                                                "ntile",      "lag",  "lead",       "nth_value"};
  return is_one_of(f, kNames);
}

bool is_time_function(std::string_view f) {
  static constexpr std::string_view kNames[] = {"date", "time", "datetime", "julianday", "strftime", "unixepoch"};
  return is_one_of(f, kNames);
}

bool is_random_function(std::string_view f) {
  static constexpr std::string_view kNames[] = {"random", "randomblob",        "changes",          "total_changes",
                                                "now",    "last_insert_rowid", "current_date",     "current_time",
                                                "uuid",   "gen_random_uuid",   "current_timestamp"};
  return is_one_of(f, kNames);
}

bool is_scalar_function(std::string_view f) {
  return find_function(f) != nullptr;
}

std::string_view function_type(std::string_view f) {
  const Function* found = find_function(f);
  return found == nullptr ? "any" : found->type;
}

std::string_view nearest_function(std::string_view f) {
  std::string_view best;
  std::size_t distance = 3;  // two typing errors at most
  auto consider = [&](std::string_view name) {
    std::size_t d = edit_distance(f, name);
    if (d < distance && d < name.size()) {
      distance = d;
      best = name;
    }
  };
  for (const Function& known : kFunctions) consider(known.name);
  for (const AggregateFunction& known : kAggregates) consider(known.name);
  return best;
}

}  // namespace tidemill::views
