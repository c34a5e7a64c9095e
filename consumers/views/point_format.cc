#include "consumers/views/point_format.h"

#include <algorithm>
#include <charconv>
#include <span>

#include "engine/checksum.h"
#include "storage/base/text.h"

namespace tidemill::views {
namespace {

constexpr std::string_view kTitle = "tidemill kept point\n";

// Takes `text` from the front of `in`. false: something else stands there.
bool take(std::string_view& in, std::string_view text) {
  if (!in.starts_with(text)) return false;
  in.remove_prefix(text.size());
  return true;
}

// Only as we write them: no sign, no leading zero.
bool take_number(std::string_view& in, std::uint64_t& out) {
  const auto [end, error] = std::from_chars(in.data(), in.data() + in.size(), out);
  const auto length = static_cast<std::size_t>(end - in.data());
  if (error != std::errc() || (length > 1 && in.front() == '0')) return false;
  in.remove_prefix(length);
  return true;
}

}  // namespace

const PointView* PointContent::find(std::uint64_t id) const {
  const auto at =
      std::lower_bound(views.begin(), views.end(), id, [](const PointView& v, std::uint64_t i) { return v.id < i; });
  return at == views.end() || at->id != id ? nullptr : &*at;
}

std::string encode_point(const PointContent& content) {
  std::string text(kTitle);
  text += "made = " + std::to_string(content.made.time_since_epoch().count()) + "\n";
  for (const PointView& v : content.views) {
    text += "view = " + std::to_string(v.id) + " " + std::to_string(v.stream.value()) + " " +
            std::to_string(v.sequence.value()) + " " + std::to_string(v.parked) + "\n";
  }
  return text + "checksum = " + to_hex(small_checksum(text), 8) + "\n";
}

std::optional<PointContent> decode_point(std::string_view text) {
  const std::size_t sum = text.rfind("checksum = ");
  if (sum == std::string_view::npos ||
      text.substr(sum) != "checksum = " + to_hex(small_checksum(text.substr(0, sum)), 8) + "\n")
    return std::nullopt;
  std::string_view in = text.substr(0, sum);
  PointContent content;
  std::uint64_t made = 0;
  if (!take(in, kTitle) || !take(in, "made = ") || !take_number(in, made) || made >> 63 != 0 || !take(in, "\n"))
    return std::nullopt;
  content.made = WallTime(std::chrono::milliseconds(static_cast<std::int64_t>(made)));
  while (!in.empty()) {
    std::uint64_t id = 0, stream = 0, sequence = 0, parked = 0;
    if (!take(in, "view = ") || !take_number(in, id) || !take(in, " ") || !take_number(in, stream) || !take(in, " ") ||
        !take_number(in, sequence) || !take(in, " ") || !take_number(in, parked) || !take(in, "\n"))
      return std::nullopt;
    if (!content.views.empty() && id <= content.views.back().id) return std::nullopt;
    content.views.push_back({id, StreamId(stream), Sequence(sequence), parked});
  }
  return content;
}

}  // namespace tidemill::views
