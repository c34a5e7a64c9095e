#include "storage/log/request_window.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "storage/base/check.h"

namespace tidemill {
namespace {

// Rejection lists may take as much again as the keys themselves; then old requests go, whatever their number.
constexpr std::size_t kRejectedBytesPerKey = 32;
constexpr std::size_t kRejectedBytesMin = 1 << 20;
constexpr std::size_t kCopyBytes = 1 << 20;
constexpr std::size_t kRejectedListBytes = 96;  // what a list costs beside its entries
constexpr std::size_t kEntriesMin = 32;         // so many each window may have
constexpr std::size_t kSlotsMin = 64;
constexpr std::size_t kMarksMax = 64;

std::size_t bytes_of(std::span<const RejectedRecord> rejected) {
  return kRejectedListBytes + rejected.size_bytes();
}

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
  if (held_ == keys_max_) {
    drop_oldest();
    if (account_) account_->cut = false;
  } else if (held_ == ring_.size() && !grow()) {
    drop_oldest();
    account_->cut = true;
  }
  const std::size_t i = ring_index(total_);
  ring_[i] = {identity, first, accepted, static_cast<std::uint32_t>(rejected.size())};
  table_.insert(identity.key_hash, static_cast<std::uint32_t>(i), key_of());
  if (!rejected.empty()) {
    rejected_.emplace(total_, std::vector<RejectedRecord>(rejected.begin(), rejected.end()));
    rejected_bytes_ += tidemill::bytes_of(rejected);
    if (account_) account_->take_anyway(tidemill::bytes_of(rejected));
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
    rejected_bytes_ -= tidemill::bytes_of(it->second);
    if (account_) account_->give_back(tidemill::bytes_of(it->second));
    rejected_.erase(it);
  }
  --held_;
}

// The ring, and the table once the ring is full.
std::size_t RequestWindow::bytes_of(std::size_t entries) {
  if (entries == 0) return 0;
  return entries * sizeof(Entry) + std::max(kSlotsMin, std::bit_ceil(2 * entries)) * sizeof(std::uint32_t);
}

// False: there is no room for that now.
bool RequestWindow::try_size(std::size_t entries) {
  entries = std::min<std::size_t>(entries, keys_max_);
  const std::size_t more = bytes_of(entries) - bytes_of(ring_.size());
  if (account_ && !account_->take(more)) {
    if (entries > kEntriesMin) return false;
    account_->take_anyway(more);
  }
  resize(entries);
  return true;
}

// To twice its size, or at least a little; not asked for with every request where there is no room.
bool RequestWindow::grow() {
  if (total_ < grow_again_at_) return false;
  const std::size_t now = ring_.size();
  if (try_size(std::max(kEntriesMin, now * 2)) || try_size(now + now / 8)) return true;
  grow_again_at_ = total_ + now / 8;
  return false;
}

void RequestWindow::resize(std::size_t entries) {
  std::vector<Entry> other(entries);
  CHECK(other.size() >= held_);
  KeyTable table;
  for (std::uint64_t n = oldest(); n < total_; ++n) other[n % other.size()] = ring_[ring_index(n)];
  ring_.swap(other);
  for (std::uint64_t n = oldest(); n < total_; ++n) {
    const std::size_t i = ring_index(n);
    table.insert(ring_[i].identity.key_hash, static_cast<std::uint32_t>(i), key_of());
  }
  table_ = std::move(table);
}

void RequestWindow::give_way() {
  const std::size_t entries = std::max(kEntriesMin, ring_.size() - ring_.size() / 8);
  if (entries >= ring_.size()) return;
  if (account_ && held_ > entries) account_->cut = true;
  while (held_ > entries) drop_oldest();
  const std::size_t less = bytes_of(ring_.size()) - bytes_of(entries);
  resize(entries);
  if (account_) account_->give_back(less);
  publish();
}

void RequestWindow::join(std::unique_ptr<RequestBudget::Account> account) {
  account_ = std::move(account);
  account_->take_anyway(bytes());
  while (ring_.size() > kEntriesMin && account_->must_give_way()) give_way();
  publish();
}

std::unique_ptr<RequestBudget::Account> RequestWindow::leave() {
  if (account_) account_->give_back(bytes());
  return std::move(account_);
}

void RequestWindow::mark(MonotonicTime now) {
  while (marks_.size() > 1 && marks_[1].total <= oldest()) marks_.pop_front();
  if (marks_.empty() || now - marks_.back().at >= std::chrono::seconds(1)) {
    if (marks_.size() == kMarksMax) {
      for (std::size_t i = 1; i < marks_.size(); ++i) marks_.erase(marks_.begin() + static_cast<std::ptrdiff_t>(i));
    }
    marks_.push_back({total_, now});
  }
  publish();
}

void RequestWindow::publish() const {
  if (!account_) return;
  account_->keys.store(held_, std::memory_order_relaxed);
  // The oldest came before the second moment that is remembered, so it has been there for longer than that.
  const auto first_after =
      std::find_if(marks_.begin(), marks_.end(), [&](const Mark& m) { return m.total > oldest(); });
  const bool known = held_ != 0 && first_after != marks_.end();
  account_->oldest.store(known ? first_after->at : MonotonicTime::max(), std::memory_order_relaxed);
}

std::size_t RequestWindow::bytes() const {
  return bytes_of(ring_.size()) + rejected_bytes_;
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
