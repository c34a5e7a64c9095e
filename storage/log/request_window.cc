#include "storage/log/request_window.h"

#include <algorithm>
#include <cstring>

#include "storage/base/check.h"

namespace tidemill {
namespace {

// Rejection lists may take as much again as the keys themselves; then old requests go, whatever their number.
constexpr std::size_t kRejectedBytesPerKey = 32;
constexpr std::size_t kRejectedBytesMin = 1 << 20;
constexpr std::size_t kCopyBytes = 1 << 20;

}  // namespace

std::size_t KeyTable::home(const Key& key) const {
  std::uint64_t h = 0;
  std::memcpy(&h, key.data(), sizeof h);
  return static_cast<std::size_t>((h * 0x9e3779b97f4a7c15u) >> 20) & mask();
}

std::optional<RequestWindow::Answer> RequestWindow::find(const RequestIdentity& identity) const {
  const auto i = table_.find(identity.key_hash, key_of());
  if (!i) return std::nullopt;
  const Entry& e = ring_[*i];
  Answer answer{e.identity.body_hash, e.first, e.accepted, {}};
  if (e.rejected != 0) {
    // The number follows from the place in the ring.
    const std::uint64_t base = oldest();
    const std::uint64_t number = base + (*i + ring_.size() - ring_index(base)) % ring_.size();
    answer.rejected = rejected_.at(number);
  }
  return answer;
}

bool RequestWindow::add(const RequestIdentity& identity, Sequence first, std::uint32_t accepted,
                        std::span<const RejectedRecord> rejected) {
  if (keys_max_ == 0 || table_.find(identity.key_hash, key_of())) {
    return false;
  }
  if (held_ == keys_max_) drop_oldest();
  if (held_ == ring_.size()) grow_ring();
  const std::size_t i = ring_index(total_);
  ring_[i] = {identity, first, accepted, static_cast<std::uint32_t>(rejected.size())};
  table_.insert(identity.key_hash, static_cast<std::uint32_t>(i), key_of());
  if (!rejected.empty()) {
    rejected_.emplace(total_, std::vector<RejectedRecord>(rejected.begin(), rejected.end()));
    rejected_bytes_ += rejected.size_bytes();
  }
  ++total_;
  ++held_;
  const std::size_t rejected_max = std::max(kRejectedBytesMin, std::size_t{keys_max_} * kRejectedBytesPerKey);
  while (rejected_bytes_ > rejected_max && held_ > 1) drop_oldest();
  return true;
}

void RequestWindow::drop_oldest() {
  const std::uint64_t number = oldest();
  const std::size_t i = ring_index(number);
  table_.erase(ring_[i].identity.key_hash, static_cast<std::uint32_t>(i), key_of());
  if (const auto it = rejected_.find(number); it != rejected_.end()) {
    rejected_bytes_ -= it->second.size() * sizeof(RejectedRecord);
    rejected_.erase(it);
  }
  --held_;
}

void RequestWindow::grow_ring() {
  std::vector<Entry> bigger(std::min<std::size_t>(keys_max_, std::max<std::size_t>(32, ring_.size() * 2)));
  CHECK(bigger.size() > held_);
  KeyTable table;
  for (std::uint64_t n = oldest(); n < total_; ++n) bigger[n % bigger.size()] = ring_[ring_index(n)];
  ring_.swap(bigger);
  for (std::uint64_t n = oldest(); n < total_; ++n) {
    const std::size_t i = ring_index(n);
    table.insert(ring_[i].identity.key_hash, static_cast<std::uint32_t>(i), key_of());
  }
  table_ = std::move(table);
}

std::size_t RequestWindow::bytes() const {
  return ring_.size() * sizeof(Entry) + table_.bytes() + rejected_bytes_;
}

std::uint64_t RequestWindow::copy(std::uint64_t begin, std::uint64_t end, std::vector<StoredRequest>& out) const {
  CHECK(begin >= oldest() && end <= total_);
  std::size_t bytes = 0;
  for (; begin < end && bytes < kCopyBytes; ++begin) {
    const Entry& e = ring_[ring_index(begin)];
    StoredRequest& r = out.emplace_back(StoredRequest{e.identity, e.first, e.accepted, {}});
    if (e.rejected != 0) r.rejected = rejected_.at(begin);
    bytes += sizeof(Entry) + r.rejected.size() * sizeof(RejectedRecord);
  }
  return begin;
}

}  // namespace tidemill
