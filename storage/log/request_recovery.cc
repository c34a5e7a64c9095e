#include "storage/log/request_recovery.h"

#include <algorithm>
#include <vector>

#include "storage/base/errors.h"
#include "storage/base/logger.h"
#include "storage/log/commit_reader.h"
#include "storage/log/request_snapshot.h"
#include "storage/log/segment_scanner.h"

namespace tidemill {
namespace {

constexpr std::size_t kReadBytes = 1 << 20;

// Adds what the commits between two offsets answered.
Result<void> scan_requests(const SegmentFile& segment, ByteOffset begin, ByteOffset end, RequestWindow& window) {
  SegmentScanner scanner(segment, begin, end, SegmentScanner::Depth::header, kReadBytes);
  for (;;) {
    ASSIGN_OR_RETURN(const auto found, scanner.next());
    if (!found) return {};
    const CommitHeader& h = found->header;
    if (h.requests == 0) continue;
    ASSIGN_OR_RETURN(const auto bytes, scanner.bytes(found->offset.value(), h.header_bytes));
    const auto requests = read_requests(bytes, h);
    if (!requests) continue;
    for (const StoredRequest& r : *requests) window.add(r.identity, r.first, r.accepted, r.rejected);
  }
}

}  // namespace

RecoveredRequests recover_requests(Env& env, const std::string& directory, const RequestSearch& search,
                                   std::uint32_t keys_max) {
  RecoveredRequests out{RequestWindow(keys_max)};
  const auto snapshot = read_snapshot(env.files, directory, search.incarnation, out.window, keys_max);
  if (snapshot) {
    out.covered = snapshot->requests;
  } else if (snapshot.error() == StorageErrc::damaged) {
    env.logger.warning("the snapshot of the request window is damaged; keyed requests are read from the log instead",
                       {{"directory", directory}});
  } else if (snapshot.error() != boost::system::errc::no_such_file_or_directory) {
    out.unread = {directory + "/requests", snapshot.error()};
  }
  if (!search.last) return out;
  const std::uint64_t enough =
      std::max(snapshot ? snapshot->requests : 0, search.requests - std::min<std::uint64_t>(search.requests, keys_max));
  // Back to the segment that holds request number `enough`.
  std::vector<std::shared_ptr<SegmentFile>> segments{search.last};
  for (std::size_t i = search.names.size() - 1; i-- > 0 && segments.back()->header.requests_before > enough;) {
    if (snapshot && segments.back()->name.id <= snapshot->segment) break;
    auto segment = open_segment(env.files, directory, search.names[i], OpenMode::read, search.incarnation, env.logger);
    if (!segment && segment.error() != StorageErrc::damaged) {
      out.unread = {directory + "/" + segment_file_name(search.names[i]), segment.error()};
    }
    if (!segment) break;
    segments.push_back(std::move(*segment));
  }
  for (std::size_t i = segments.size(); i-- > 0;) {
    const SegmentFile& s = *segments[i];
    ByteOffset begin(kSegmentHeaderBytes);
    ByteOffset end(s.header.bytes);
    if (snapshot && snapshot->segment == s.name.id) begin = snapshot->end;
    if (i == 0) {
      end = search.end;
    } else if (segments[i - 1]->header.predecessor.id == s.name.id) {
      end = segments[i - 1]->header.predecessor.end;
    }
    if (begin >= end) continue;
    out.unsnapshotted_bytes += end.value() - begin.value();
    if (const auto read = scan_requests(s, begin, end, out.window); !read) out.unread = {s.path, read.error()};
  }
  return out;
}

}  // namespace tidemill
