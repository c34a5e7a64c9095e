#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/base/ids.h"
#include "storage/base/time.h"

namespace tidemill::views {

// DATA/views.history/<number>/POINT: what is in a kept point, docs/formats/history.md.
inline constexpr const char* kPointFile = "POINT";
inline constexpr std::uint64_t kPointFileBytesMax = 16 << 20;

// A view that was served, by its definition: another one of that name has another id.
struct PointView {
  std::uint64_t id = 0;
  StreamId stream;
  Sequence sequence;         // of the last record that it had counted
  std::uint64_t parked = 0;  // records in its quarantine: decisions change rows without a record
  bool operator==(const PointView&) const = default;
};
struct PointContent {
  WallTime made{};
  std::vector<PointView> views;  // ascending by id
  const PointView* find(std::uint64_t id) const;
  bool operator==(const PointContent&) const = default;
};

std::string encode_point(const PointContent& content);
std::optional<PointContent> decode_point(std::string_view text);  // nullopt: damaged

}  // namespace tidemill::views
