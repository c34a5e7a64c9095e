#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/log/request_window.h"
#include "storage/log/segment_file.h"
#include "storage/seam/env.h"

namespace tidemill {

// Where the keyed requests of a log are to be found at a start.
struct RequestSearch {
  Incarnation incarnation;
  std::vector<SegmentName> names;     // ascending
  std::shared_ptr<SegmentFile> last;  // the last of them; null: its header is damaged
  ByteOffset end;                     // of its last valid commit
  std::uint64_t requests = 0;         // keyed requests in the whole log
};

struct RecoveredRequests {
  RequestWindow window;
  std::uint64_t covered = 0;              // keyed requests of the log up to this one are in the snapshot
  std::uint64_t unsnapshotted_bytes = 0;  // of the log, read to find the requests that the snapshot does not hold
  // What could not be read just now: who is not in the window may still have been answered. No snapshot must be made of
  // such a one, that would forget for good.
  struct Unread {
    std::string file;
    ErrorCode cause;
  };
  std::optional<Unread> unread;
};

// The snapshot, and then the commits after it. Without a snapshot: as far back as the window reaches. May be asked
// again for what was unread.
RecoveredRequests recover_requests(Env& env, const std::string& directory, const RequestSearch& search,
                                   std::uint32_t keys_max);

}  // namespace tidemill
