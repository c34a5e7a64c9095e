#include "api/views/freshness.h"

#include "engine/lag.h"

namespace tidemill {

std::optional<double> freshness_seconds(ApiContext& context, const views::ViewInfo& view) {
  const auto stream = context.engine.find({view.tenant, view.stream});
  if (!stream) return std::nullopt;
  return lag_seconds(stream->log(), context.env.clock, next(view.applied.sequence()));
}

}  // namespace tidemill
