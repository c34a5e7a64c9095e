#pragma once

#include "storage/log/log.h"

namespace tidemill {

// Takes away what lies beyond `last` of a batch that was read from `from` on.
void cut(RecordBatch& batch, Sequence from, Sequence last);

}  // namespace tidemill
