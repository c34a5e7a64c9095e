#include "consumers/archive/verify_manifest.h"

#include <algorithm>

#include "storage/base/errors.h"

namespace tidemill::archive {
namespace {

constexpr std::uint64_t kManifestBytesMax = 4ull << 30;

void take(const ManifestLine& line, ManifestContent& out) {
  const std::string* unit = unit_of(line);
  if (unit == nullptr) return;
  auto& u = out.units[*unit];
  u.through = std::max(u.through, through_of(line));
  if (const auto* file = std::get_if<FileLine>(&line)) {
    if (!u.files.empty() && u.files.back().path == file->path) u.files.pop_back();
    u.files.push_back(*file);
  } else if (const auto* lost = std::get_if<LostLine>(&line)) {
    u.lost.push_back(*lost);
  }
}

}  // namespace

Result<ManifestContent> read_manifest(FileSystem& files, const std::string& directory, const FindingSink& sink) {
  ManifestContent out;
  const std::string path = directory + "/manifest";
  if (!exists(files, path)) return out;
  ASSIGN_OR_RETURN(const std::string text, read_file(files, path, kManifestBytesMax));
  std::uint64_t next_number = 0;
  constexpr std::uint64_t kNowhere = ~0ull;  // (an optional makes g++ warn of what cannot happen)
  std::uint64_t bad = kNowhere;
  const auto damage = [&](std::uint64_t offset) {
    out.damaged = true;
    sink(
        {Finding::Grade::damage,
         "manifest",
         path,
         ByteOffset(offset),
         {},
         {},
         "A line of the archive's manifest is damaged. Restore the archive's directory as a whole, or move it away: it "
         "is then made again from the log."});
  };
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    const std::size_t length = std::min(end, text.size()) - at;
    const bool whole = end != std::string::npos && length <= kLineBytesMax;
    const std::uint64_t salt = out.header ? out.header->salt : 0;
    auto line = whole ? decode(std::string_view(text).substr(at, length), salt) : std::nullopt;
    if (line && (line->number < next_number || std::holds_alternative<HeaderLine>(line->line) != (next_number == 0)))
      line.reset();
    if (!line) {
      if (bad == kNowhere) bad = at;
    } else {
      if (bad != kNowhere) damage(bad);
      bad = kNowhere;
      if (const auto* header = std::get_if<HeaderLine>(&line->line)) {
        if (header->version > kManifestVersion) return make_error_code(StorageErrc::layout_too_new);
        out.header = *header;
      }
      take(line->line, out);
      next_number = line->number + 1;
    }
    at += length + 1;
  }
  if (!out.header) {
    damage(0);
  } else if (bad != kNowhere && text.find('\n', bad) != std::string::npos) {
    damage(bad);  // a line feed is written last: the line was whole
  } else if (bad != kNowhere) {
    sink({Finding::Grade::note,
          "torn-tail",
          path,
          ByteOffset(bad),
          {},
          {},
          "The manifest's last line is torn: what a crash leaves. The next start drops it."});
  }
  return out;
}

}  // namespace tidemill::archive
