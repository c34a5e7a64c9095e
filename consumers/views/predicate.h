#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "consumers/views/watch.h"

namespace tidemill::views {

class View;

// What a `where` over the rows of a view may be long, in bytes.
inline constexpr std::size_t kPredicateBytesMax = 4'000;

// An expression over the output columns of `view`, compiled: the same rows fit as SELECT ... FROM view WHERE has, since
// SQLite sees a table that is declared alike. Refused, with a sentence that says where: aggregates, sub-selects,
// parameters, functions that are not the same each time, columns that the view does not have. Any thread; about a
// tenth of a millisecond. Codes: invalid_view, not_supported, internal.
SqlResult<std::unique_ptr<RowFilter>> compile_predicate(const View& view, std::string_view text);

}  // namespace tidemill::views
