#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "consumers/views/definition.h"
#include "consumers/views/statement.h"

namespace tidemill::views {

// What WITH says of the time that rows have, over these group terms. nullopt: nothing. Refuses what cannot be meant,
// with the place and what to write instead.
SqlResult<std::optional<Expiry>> read_expiry(std::string_view sql, const ExpiryText& text,
                                             const std::vector<GroupTerm>& groups);

// The same in words, for EXPLAIN and the view's status.
std::string in_words(const Expiry& expiry, const std::vector<GroupTerm>& groups);

}  // namespace tidemill::views
