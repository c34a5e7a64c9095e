#include "consumers/views/key_ranges.h"

#include <algorithm>

#include "consumers/views/key.h"
#include "consumers/views/store_keys.h"

namespace tidemill::views {
namespace {

std::string encoded(Cell cell) {
  std::string out;
  encode_key(canonical(cell), out);
  return out;
}

}  // namespace

KeyRanges::KeyRanges() : prefixes_{std::string(1, kRowSpace)} {}

void KeyRanges::one_of(std::span<const Cell> values) {
  std::vector<std::string> out;
  for (const std::string& prefix : prefixes_) {
    for (const Cell& value : values) out.push_back(prefix + encoded(value));
  }
  prefixes_ = std::move(out);
}

void KeyRanges::at_least(Cell bound, bool beyond) {
  lower_.push_back({encoded(bound), beyond});
}

void KeyRanges::at_most(Cell bound, bool below) {
  upper_.push_back({encoded(bound), !below});
}

void KeyRanges::begins_with(std::string_view text) {
  std::string key;
  encode_key_prefix(text, key);
  lower_.push_back({key, false});
  upper_.push_back({key, true});
}

std::vector<KeyRanges::Range> KeyRanges::take() {
  std::sort(prefixes_.begin(), prefixes_.end());
  prefixes_.erase(std::unique(prefixes_.begin(), prefixes_.end()), prefixes_.end());
  std::vector<Range> out;
  for (const std::string& prefix : prefixes_) {
    const auto full = [&](const Bound& b) { return b.after ? behind_prefix(prefix + b.key) : prefix + b.key; };
    Range r{prefix, behind_prefix(prefix)};
    for (const Bound& b : lower_) r.lower = std::max(r.lower, full(b));
    for (const Bound& b : upper_) r.upper = std::min(r.upper, full(b));
    if (r.lower < r.upper) out.push_back(std::move(r));
  }
  return out;
}

}  // namespace tidemill::views
