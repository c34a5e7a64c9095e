#pragma once

#include <vector>

#include "storage/base/ids.h"
#include "storage/log/segment_format.h"

namespace tidemill {

// What of a log counts at one moment. These bytes of these files stay as they are, whatever is written later; only
// retention, and the removal of the whole stream, take files away.
struct LogCut {
  Incarnation incarnation;
  Epoch epoch;
  Sequence start;                     // first record held
  Sequence last;                      // last durable one; `start - 1`: none
  std::vector<SegmentName> segments;  // ascending
  ByteOffset end;                     // of the last segment's last commit
  bool operator==(const LogCut&) const = default;
};

}  // namespace tidemill
