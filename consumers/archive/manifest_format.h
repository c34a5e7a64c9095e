#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "storage/base/ids.h"

// The lines of archive/<stream>/manifest. docs/formats/archive-manifest.md is the page; its example is a golden test.
namespace tidemill::archive {

inline constexpr std::uint32_t kManifestVersion = 1;
inline constexpr std::size_t kLineBytesMax = 1024;  // a longer one is not ours

// The first line: whose manifest this is.
struct HeaderLine {
  std::uint32_t version = kManifestVersion;
  StreamId stream;
  std::string name;
  std::uint64_t salt = 0;  // seeds the checksums of the lines that follow
  bool operator==(const HeaderLine&) const = default;
};

// A text file is complete: its bytes are on disk, under this name or (until the rename is durable) the one aside.
struct FileLine {
  std::string unit;  // s0003, l03
  Sequence first;    // of its records
  Sequence last;
  Sequence through;  // the unit has no record in (last, through]
  std::uint64_t count = 0;
  std::uint64_t bytes = 0;
  std::uint64_t hash = 0;  // XXH3-64 of the file
  std::string path;        // below the manifest's directory
  bool operator==(const FileLine&) const = default;
};

// Looked through up to here, and there was nothing for this unit since its last line.
struct SeenLine {
  std::string unit;
  Sequence through;
  bool operator==(const SeenLine&) const = default;
};

// The log cannot give these back: they are in no file (as far as they were this unit's).
struct LostLine {
  std::string unit;
  Sequence first;
  Sequence last;
  bool operator==(const LostLine&) const = default;
};

using ManifestLine = std::variant<HeaderLine, FileLine, SeenLine, LostLine>;

// "<16 hex digits: XXH3-64 of what follows the space> <line number> <kind> ...\n". The salt is the header's, for the
// header itself 0.
std::string encode(std::uint64_t number, const ManifestLine& line, std::uint64_t salt);

struct NumberedLine {
  std::uint64_t number = 0;
  ManifestLine line;
};
// `text` without the line feed. nullopt: not a valid line (any reason).
std::optional<NumberedLine> decode(std::string_view text, std::uint64_t salt);

const std::string* unit_of(const ManifestLine& line);  // nullptr: the header
Sequence through_of(const ManifestLine& line);         // 0: the header

}  // namespace tidemill::archive
