#pragma once

#include <string_view>

namespace tidemill::views {

// What a query may touch besides the views: lists, so that what a later SQLite brings along is not let in unseen.
// `fts3_tokenizer`, for one, takes an address from its caller and jumps to it.
bool query_may_call(std::string_view function);  // lower case
bool query_may_read(std::string_view table);     // tables that are not views

}  // namespace tidemill::views
