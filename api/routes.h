#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/context.h"
#include "api/ingest/ingest.h"
#include "api/keys/key_routes.h"
#include "api/limits/limit_routes.h"
#include "api/records/read.h"
#include "api/router/router.h"
#include "api/streams/streams.h"
#include "api/views/view_routes.h"

namespace tidemill {

// Who answers what. `ingest` may be made after the table (it needs the server's loops), before the first request.
struct RouteTargets {
  ApiContext& context;
  std::unique_ptr<Ingest>& ingest;
  Records& records;
  Streams& streams;
  ViewRoutes& views;
  KeyRoutes& keys;
  LimitRoutes& limits;
  std::function<std::string()> metrics;
};

// The one table of everything that the server answers.
std::vector<Route> make_routes(const RouteTargets& targets);

}  // namespace tidemill
