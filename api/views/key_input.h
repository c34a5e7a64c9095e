#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "api/router/router.h"
#include "consumers/views/views.h"

namespace tidemill {

// A key as a path or a query has it. nullopt: it does not fit the view's key columns.
// Values joined by commas; each is percent-decoded if the text is still as sent. Or a JSON array.
std::optional<views::Row> key_of(const views::ViewInfo& info, std::string_view text, bool encoded);

// The key of the one row that is asked for, by the path or, where `raw_key` is empty, by `key=`: what it may mean, in
// the order in which to look. Empty: it does not fit.
std::vector<views::Row> key_of(Call& call, const views::ViewInfo& info, std::string_view raw_key);

// prefix, from and to. nullopt: they do not fit either.
std::optional<views::RangeOptions> bounds_of(const views::ViewInfo& info, const http::Query& query);

}  // namespace tidemill
