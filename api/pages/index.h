#pragma once

#include "api/context.h"

namespace tidemill {

// GET /: a plain page for people that links what there is.
void index_page(ApiContext& context, http::Responder responder);

}  // namespace tidemill
