#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "consumers/views/statement.h"
#include "consumers/views/views.h"
#include "engine/keys/principal.h"

namespace tidemill::views {

// A stream or view that a statement is about, and what it would do to it.
struct Touch {
  Action action;
  Thing thing;
  std::string name;
};

// What a statement of the SQL door would touch that makes, changes, drops or explains views and streams: its own name,
// the stream that it reads, the views that it looks up. Read by the same code that runs the statement; of one that this
// cannot read, which is refused as well when it is run, what was understood. Empty: a question, whose tables the query
// itself knows (viewer.h).
std::vector<Touch> touches(const StatementText& text);
// The same of a definition for PUT: a SELECT, a CREATE, or builtin:NAME.
std::vector<Touch> touches_of_definition(std::string_view sql);

}  // namespace tidemill::views
