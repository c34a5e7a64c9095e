#pragma once

#include <optional>

#include "api/context.h"
#include "consumers/views/views.h"

namespace tidemill {

// How old the oldest durable record is that the view does not show, in seconds since it arrived; 0: it shows all.
// nullopt: that record cannot be read. May block on the disk.
std::optional<double> freshness_seconds(ApiContext& context, const views::ViewInfo& view);

}  // namespace tidemill
