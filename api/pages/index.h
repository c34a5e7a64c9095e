#pragma once

#include "api/context.h"
#include "api/router/principal.h"

namespace tidemill {

// GET /: a plain page for people that links what there is.
void index_page(ApiContext& context, std::shared_ptr<const Principal> who, http::Responder responder);

}  // namespace tidemill
