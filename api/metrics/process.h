#pragma once

#include "api/metrics/families.h"

namespace tidemill {

// What Linux says of this process: tidemill_process_*. Reads /proc; what cannot be read is left out.
void add_process(Families& out);

}  // namespace tidemill
