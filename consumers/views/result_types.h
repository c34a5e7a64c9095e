#pragma once

#include <string>

#include "consumers/views/definition.h"
#include "consumers/views/expression.h"

namespace tidemill::views {

// What type a definition's expressions give, as far as tokens and the stream's declared fields tell: integer, real,
// text, json, any.
class ResultTypes {
 public:
  // Both must outlive it.
  ResultTypes(const decltype(SplitOptions::fields)& fields, const std::vector<LookedUpColumns>& lookups)
      : fields_(fields), lookups_(lookups) {}
  std::string of(const Parts& parts) const;
  std::string of(const AggregateDraft& aggregate) const;

 private:
  const decltype(SplitOptions::fields)& fields_;
  const std::vector<LookedUpColumns>& lookups_;
};

// Text or NULL whatever the records hold: declared fields are no promise, for a record may hold something else.
bool always_text(const Parts& parts);
bool always_text(const AggregateDraft& aggregate);
// collect and map: their result is JSON to the JSON functions around it, and their last argument is kept as JSON.
bool gives_json(const AggregateDraft& aggregate);

}  // namespace tidemill::views
