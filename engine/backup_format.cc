#include "engine/backup_format.h"

#include <charconv>

#include "storage/base/hash.h"
#include "storage/base/text.h"

namespace tidemill {
namespace {

constexpr std::string_view kTitle = "tidemill backup\n";

std::vector<std::string_view> words(std::string_view line) {
  std::vector<std::string_view> out;
  for (std::size_t at = 0; at <= line.size();) {
    const std::size_t end = std::min(line.find(' ', at), line.size());
    out.push_back(line.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

// Decimal, or 16 hexadecimal digits; anything else makes `ok` false.
std::uint64_t number(std::string_view text, bool& ok, int base = 10) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  ok = ok && error == std::errc() && end == text.data() + text.size() && (base == 10 || text.size() == 16);
  return value;
}

// Below the directory it is taken for, and nowhere else.
bool inside(std::string_view path) {
  if (path.empty() || path.front() == '/') return false;
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string_view part = path.substr(at, end - at);
    if (part.empty() || part == "." || part == "..") return false;
    at = end + 1;
  }
  return true;
}

bool decode_line(std::string_view line, BackupContent& out) {
  bool ok = true;
  const auto w = words(line);
  if (w.size() < 3 || w[1] != "=") return false;
  if (w[0] == "instance" && w.size() == 3) {
    out.instance = w[2];
    return w[2].size() == 32;
  }
  if (w[0] == "number" && w.size() == 3) {
    out.number = number(w[2], ok);
    return ok;
  }
  if (w[0] == "taken" && w.size() == 3) {
    const auto time = parse_rfc3339(w[2]);
    if (time) out.taken = *time;
    return time.has_value();
  }
  if (w[0] == "stream" && w.size() == 10) {
    BackupStream s;
    s.id = StreamId(number(w[2], ok));
    s.incarnation = Incarnation(number(w[3], ok, 16));
    const std::uint64_t epoch = number(w[4], ok);
    s.epoch = Epoch(static_cast<std::uint32_t>(epoch));
    s.first = Sequence(number(w[5], ok));
    s.segment = SegmentId(number(w[6], ok));
    s.end = ByteOffset(number(w[7], ok));
    s.last = Sequence(number(w[8], ok));
    s.name = w[9];
    out.streams.push_back(std::move(s));
    return ok && epoch <= ~0u;
  }
  if (w[0] == "file" && w.size() == 6) {
    BackupFile f{number(w[2], ok), number(w[3], ok, 16), std::string(w[4]), std::string(w[5])};
    ok = ok && inside(f.path) && inside(f.target);
    out.files.push_back(std::move(f));
    return ok;
  }
  return false;
}

}  // namespace

std::string encode_backup(const BackupContent& c) {
  std::string out(kTitle);
  out += "version = " + std::to_string(kBackupVersion) + "\ninstance = " + c.instance +
         "\nnumber = " + std::to_string(c.number) + "\ntaken = " + format_rfc3339(c.taken) + "\n";
  for (const BackupStream& s : c.streams)
    out += "stream = " + std::to_string(s.id.value()) + " " + to_hex(s.incarnation.value()) + " " +
           std::to_string(s.epoch.value()) + " " + std::to_string(s.first.value()) + " " +
           std::to_string(s.segment.value()) + " " + std::to_string(s.end.value()) + " " +
           std::to_string(s.last.value()) + " " + s.name + "\n";
  for (const BackupFile& f : c.files)
    out += "file = " + std::to_string(f.bytes) + " " + to_hex(f.hash) + " " + f.path + " " + f.target + "\n";
  return out + "checksum = " + to_hex(xxh3(out)) + "\n";
}

BackupRead decode_backup(std::string_view text, BackupContent& content) {
  // Title and version are the same in every version; what follows a later one is not ours to judge.
  constexpr std::string_view version = "version = ";
  if (!text.starts_with(std::string(kTitle) + std::string(version))) return BackupRead::damaged;
  const std::string_view digits = text.substr(kTitle.size() + version.size());
  bool ok = true;
  const std::uint64_t v = number(digits.substr(0, digits.find('\n')), ok);
  if (!ok || v == 0) return BackupRead::damaged;
  if (v > kBackupVersion) return BackupRead::too_new;

  const std::size_t sum = text.rfind("checksum = ");
  if (sum == std::string_view::npos || text.substr(sum) != "checksum = " + to_hex(xxh3(text.substr(0, sum))) + "\n")
    return BackupRead::damaged;
  content = {};
  std::string_view rest = text.substr(0, sum);
  for (int line = 0; !rest.empty(); ++line) {
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) return BackupRead::damaged;
    if (line >= 2 && !decode_line(rest.substr(0, end), content)) return BackupRead::damaged;
    rest.remove_prefix(end + 1);
  }
  return content.instance.empty() ? BackupRead::damaged : BackupRead::good;
}

}  // namespace tidemill
