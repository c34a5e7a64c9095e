#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "consumers/views/query_table.h"
#include "consumers/views/sqlite.h"

namespace tidemill::views {

// Lookups are read as a query reads views, over the snapshot of a QueryScope.

// How many of their rows are read for one record, before it is set aside.
inline constexpr std::uint64_t kLookupRowsMax = 10'000;

std::string lookup_table(std::uint32_t index);  // look1, look2, ...
bool is_lookup_table(std::string_view name);

struct PrepareError {
  std::string message;
  int offset = -1;
  std::optional<std::uint32_t> lookup = {};  // it is about that one
};

struct LookupPlan {
  bool whole = false;  // by its whole key: one row at most
  std::string words;
};
struct BatchTable;
// How SQLite reads each of them in a row statement that was prepared on this connection. What is not bound by equality
// to the whole key or its first columns is refused, with a sentence for the user.
std::variant<std::vector<LookupPlan>, PrepareError> lookup_plans(Connection& connection, BatchTable& table,
                                                                 const std::string& sql, const LookedUp& lookups);

}  // namespace tidemill::views
