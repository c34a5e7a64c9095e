#include "consumers/views/write_set.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace tidemill::views {

void WriteSet::put(std::string_view key, std::string_view value) {
  const std::size_t at = memory_.size();
  memory_.append(key).append(value);
  places_.push_back({at, at + key.size(), memory_.size(), Kind::put});
}

void WriteSet::remove(std::string_view key) {
  put(key, {});
  places_.back().kind = Kind::remove;
}

void WriteSet::remove_range(std::string_view first, std::string_view end) {
  put(first, end);
  places_.back().kind = Kind::remove_range;
  ranges_ = true;
}

void WriteSet::clear() {
  memory_.clear();
  places_.clear();
  ranges_ = false;
}

WriteSet::Entry WriteSet::entry(std::uint32_t i) const {
  const Place& p = places_[i];
  const std::string_view all(memory_);
  return {p.kind, all.substr(p.key, p.value - p.key), all.substr(p.value, p.end - p.value)};
}

WriteSet::Changes WriteSet::changes() const {
  Changes out;
  for (std::uint32_t i = 0; i < size(); ++i) {
    const Entry e = entry(i);
    std::string key(e.key);
    std::string value(e.value);
    if (e.kind == Kind::remove_range) {
      out.keys.erase(out.keys.lower_bound(key), out.keys.lower_bound(value));
      out.removed.emplace_back(std::move(key), std::move(value));
    } else if (e.kind == Kind::remove) {
      out.keys.insert_or_assign(std::move(key), std::nullopt);
    } else {
      out.keys.insert_or_assign(std::move(key), std::move(value));
    }
  }
  return out;
}

std::vector<std::uint32_t> WriteSet::in_order() const {
  std::vector<std::uint32_t> out(size());
  if (ranges_) {
    std::iota(out.begin(), out.end(), 0u);
    return out;
  }
  struct Begin {
    std::uint64_t bytes;  // the key's first eight, by which most keys differ
    std::uint32_t entry;
  };
  std::vector<Begin> begins(size());
  for (std::uint32_t i = 0; i < begins.size(); ++i) {
    const std::string_view key = entry(i).key;
    unsigned char first[8] = {};
    std::memcpy(first, key.data(), std::min<std::size_t>(key.size(), sizeof first));
    std::uint64_t bytes = 0;
    for (const unsigned char c : first) bytes = bytes << 8 | c;
    begins[i] = {bytes, i};
  }
  std::sort(begins.begin(), begins.end(), [this](const Begin& a, const Begin& b) {
    if (a.bytes != b.bytes) return a.bytes < b.bytes;
    const int c = entry(a.entry).key.compare(entry(b.entry).key);
    return c != 0 ? c < 0 : a.entry < b.entry;
  });
  std::transform(begins.begin(), begins.end(), out.begin(), [](const Begin& b) { return b.entry; });
  return out;
}

}  // namespace tidemill::views
