#pragma once

#include "api/context.h"
#include "api/router/router.h"

namespace tidemill {

// GET /: a plain page for people that links what there is for them.
void index_page(ApiContext& context, Call& call, http::Responder responder);

}  // namespace tidemill
