// Which files of a log's directory count: what recovery decides first, without recovery's changes.

#include <algorithm>

#include "storage/base/errors.h"
#include "storage/base/logger.h"
#include "storage/log/segment_file.h"
#include "storage/log/start_file.h"
#include "storage/log/verify_log.h"

namespace tidemill {
namespace {

Result<std::shared_ptr<SegmentFile>> open_quietly(FileSystem& files, const std::string& directory,
                                                  const SegmentName& name, std::optional<Incarnation> incarnation) {
  return open_segment(files, directory, name, OpenMode::read, incarnation, null_logger());
}

// Whether any segment bears the number; and that of the newest readable one. 0: none.
struct Heard {
  bool found = false;
  Incarnation newest;
};
Result<Heard> hear(FileSystem& files, const std::string& directory, const std::vector<SegmentName>& names,
                   Incarnation wanted) {
  Heard heard;
  for (std::size_t i = names.size(); i-- > 0 && !heard.found;) {
    const auto segment = open_quietly(files, directory, names[i], {});
    if (!segment) {
      if (segment.error() == StorageErrc::layout_too_new) return segment.error();
      continue;
    }
    if (heard.newest == Incarnation()) heard.newest = (*segment)->header.incarnation;
    if (wanted == Incarnation()) break;
    heard.found = (*segment)->header.incarnation == wanted;
  }
  return heard;
}

}  // namespace

Result<LogLayout> read_layout(FileSystem& files, const std::string& directory, const VerifyLogOptions& options) {
  LogLayout out;
  ASSIGN_OR_RETURN(const auto entries, files.list(directory));
  std::vector<SegmentName> names;
  for (const DirectoryEntry& e : entries)
    if (const auto name = parse_segment_file_name(e.name)) names.push_back(*name);
  std::sort(names.begin(), names.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  ASSIGN_OR_RETURN(out.mark, MarkFile(files, directory).read());

  if (options.cut) {
    out.incarnation = options.cut->incarnation;
  } else if (options.incarnation) {
    out.incarnation = *options.incarnation;
  } else {
    const Incarnation marked = out.mark ? out.mark->incarnation : Incarnation();
    ASSIGN_OR_RETURN(const Heard heard, hear(files, directory, names, marked));
    out.incarnation = heard.found || heard.newest == Incarnation() ? marked : heard.newest;
  }
  if (out.mark && out.mark->incarnation != out.incarnation) {
    out.foreign_mark = true;
    out.mark.reset();
  }
  // Also where there is a cut: retention may have moved on since.
  ASSIGN_OR_RETURN(const auto start, StartFile(files, directory).read());
  if (start.start && start.start->incarnation == out.incarnation) out.start = std::max(out.start, start.start->start);
  if (options.cut) {
    out.names = options.cut->segments;
    return out;
  }
  // From the newest on: one that begins no earlier than the next, and is not what that names as its predecessor, was
  // replaced by it.
  std::vector<SegmentName> kept;
  for (std::size_t i = names.size(); i-- > 0;) {
    if (!kept.empty() && names[i].first >= kept.back().first) {
      const auto later = open_quietly(files, directory, kept.back(), out.incarnation);
      if (!later && later.error() == StorageErrc::layout_too_new) return later.error();
      if (later && (*later)->header.predecessor.id != names[i].id) {
        out.superseded.push_back(names[i]);
        continue;
      }
    }
    kept.push_back(names[i]);
  }
  out.names.assign(kept.rbegin(), kept.rend());
  while (out.names.size() > 1 && out.names[0].first < out.start && out.names[1].first <= out.start) {
    out.superseded.push_back(out.names.front());
    out.names.erase(out.names.begin());
  }
  return out;
}

}  // namespace tidemill
