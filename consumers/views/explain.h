#pragma once

#include "consumers/views/definition.h"

namespace tidemill::views {

// The two statements of a definition and what is kept between them, with the names that its author knows. What is known
// of the world (does it exist, what do the last records say) is left empty.
Explanation explain(const Definition& definition);

}  // namespace tidemill::views
