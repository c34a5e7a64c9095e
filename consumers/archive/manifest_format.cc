#include "consumers/archive/manifest_format.h"

#include <array>
#include <charconv>
#include <vector>

#include "storage/base/hash.h"
#include "storage/base/text.h"

namespace tidemill::archive {
namespace {

constexpr std::string_view kMagic = "tidemill-archive-manifest";

std::string join(std::initializer_list<std::string> fields) {
  std::string text;
  for (const auto& field : fields) text += (text.empty() ? "" : " ") + field;
  return text;
}

std::string number_of(Sequence s) {
  return std::to_string(s.value());
}

struct Encoder {
  std::string operator()(const HeaderLine& l) const {
    return join(
        {std::string(kMagic), std::to_string(l.version), std::to_string(l.stream.value()), l.name, to_hex(l.salt)});
  }
  std::string operator()(const FileLine& l) const {
    return join({"file", l.unit, number_of(l.first), number_of(l.last), number_of(l.through), std::to_string(l.count),
                 std::to_string(l.bytes), to_hex(l.hash), l.path});
  }
  std::string operator()(const SeenLine& l) const { return join({"seen", l.unit, number_of(l.through)}); }
  std::string operator()(const LostLine& l) const {
    return join({"lost", l.unit, number_of(l.first), number_of(l.last)});
  }
};

// Decimal, or 16 lower-case hexadecimal digits, and nothing else; else `ok` becomes false.
std::uint64_t parse(std::string_view text, int base, bool& ok) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) ok = false;
  if (base == 16 && (text.size() != 16 || text.find_first_of("ABCDEF") != std::string_view::npos)) ok = false;
  return value;
}

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> fields;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    fields.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return fields;
}

}  // namespace

std::string encode(std::uint64_t number, const ManifestLine& line, std::uint64_t salt) {
  const std::string text = std::to_string(number) + " " + std::visit(Encoder(), line);
  return to_hex(xxh3(text, salt)) + " " + text + "\n";
}

std::optional<NumberedLine> decode(std::string_view text, std::uint64_t salt) {
  bool ok = true;
  if (text.size() < 17 || text[16] != ' ') return std::nullopt;
  const std::uint64_t hash = parse(text.substr(0, 16), 16, ok);
  text.remove_prefix(17);
  if (!ok || hash != xxh3(text, salt)) return std::nullopt;

  const auto fields = split(text);
  if (fields.size() < 2) return std::nullopt;
  const auto decimal = [&](std::size_t i) { return parse(fields[i], 10, ok); };
  const auto sequence = [&](std::size_t i) { return Sequence(decimal(i)); };
  NumberedLine out;
  out.number = decimal(0);
  if (fields[1] == kMagic && fields.size() == 6) {
    out.line = HeaderLine{static_cast<std::uint32_t>(decimal(2)), StreamId(decimal(3)), std::string(fields[4]),
                          parse(fields[5], 16, ok)};
  } else if (fields[1] == "file" && fields.size() == 10) {
    out.line =
        FileLine{std::string(fields[2]),   sequence(3),           sequence(4), sequence(5), decimal(6), decimal(7),
                 parse(fields[8], 16, ok), std::string(fields[9])};
  } else if (fields[1] == "seen" && fields.size() == 4) {
    out.line = SeenLine{std::string(fields[2]), sequence(3)};
  } else if (fields[1] == "lost" && fields.size() == 5) {
    out.line = LostLine{std::string(fields[2]), sequence(3), sequence(4)};
  } else {
    return std::nullopt;
  }
  if (!ok) return std::nullopt;
  return out;
}

const std::string* unit_of(const ManifestLine& line) {
  if (const auto* file = std::get_if<FileLine>(&line)) return &file->unit;
  if (const auto* seen = std::get_if<SeenLine>(&line)) return &seen->unit;
  if (const auto* lost = std::get_if<LostLine>(&line)) return &lost->unit;
  return nullptr;
}

Sequence through_of(const ManifestLine& line) {
  if (const auto* file = std::get_if<FileLine>(&line)) return file->through;
  if (const auto* seen = std::get_if<SeenLine>(&line)) return seen->through;
  if (const auto* lost = std::get_if<LostLine>(&line)) return lost->last;
  return Sequence(0);
}

}  // namespace tidemill::archive
