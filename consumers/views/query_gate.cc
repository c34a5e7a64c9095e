#include "consumers/views/query_gate.h"

#include <algorithm>

#include "consumers/views/words.h"

namespace tidemill::views {
namespace {

// Beside the scalar functions that a definition may call: what is not the same each time, what sees several rows.
// Operators are functions to SQLite, too.
constexpr std::string_view kFunctions[] = {"->",
                                           "->>",
                                           "avg",
                                           "count",
                                           "cume_dist",
                                           "current_date",
                                           "current_time",
                                           "current_timestamp",
                                           "dense_rank",
                                           "first_value",
                                           "group_concat",
                                           "json_group_array",
                                           "json_group_object",
                                           "lag",
                                           "last_value",
                                           "lead",
                                           "match",
                                           "nth_value",
                                           "ntile",
                                           "percent_rank",
                                           "random",
                                           "randomblob",
                                           "rank",
                                           "regexp",
                                           "row_number",
                                           "soundex",
                                           "sqlite_version",
                                           "subtype",
                                           "sum",
                                           "total",
                                           "zeroblob"};
constexpr std::string_view kTables[] = {"json_each",     "json_tree",          "sqlite_master",
                                        "sqlite_schema", "sqlite_temp_master", "sqlite_temp_schema"};

}  // namespace

bool query_may_call(std::string_view function) {
  return is_scalar_function(function) ||
         std::find(std::begin(kFunctions), std::end(kFunctions), function) != std::end(kFunctions);
}

bool query_may_read(std::string_view table) {
  return std::find(std::begin(kTables), std::end(kTables), table) != std::end(kTables);
}

}  // namespace tidemill::views
