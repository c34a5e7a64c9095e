#include "engine/keys/certificate_table.h"

#include <algorithm>

namespace tidemill {
namespace {

constexpr std::size_t kFirstSlots = 64;

}  // namespace

std::uint32_t CertificateTable::index_of(const KeyHash& sha256) const {
  const Slots* slots = slots_.load(std::memory_order_acquire);
  if (slots == nullptr) return KeyTable::kNone;
  for (std::size_t i = sha256[0] & slots->mask;; i = (i + 1) & slots->mask) {
    const std::uint32_t at = slots->of[i].load(std::memory_order_acquire);
    if (at == 0) return KeyTable::kNone;
    if (same_hash(entries_[at - 1].sha256, sha256)) return at - 1;
  }
}

CertificateTable::Entry* CertificateTable::find(const KeyHash& sha256) const {
  const std::uint32_t index = index_of(sha256);
  return index == KeyTable::kNone ? nullptr : &entries_[index];
}

std::optional<CertificateTable::KeyIndex> CertificateTable::key_of(const KeyHash& sha256) const {
  const Entry* entry = find(sha256);
  const std::uint32_t key = entry ? entry->key.load(std::memory_order_acquire) : KeyTable::kNone;
  return key == KeyTable::kNone ? std::nullopt : std::optional(key);
}

std::optional<CertificateTable::KeyIndex> CertificateTable::last_key_of(const KeyHash& sha256) const {
  const Entry* entry = find(sha256);
  return entry ? std::optional(entry->last.load(std::memory_order_relaxed)) : std::nullopt;
}

std::vector<KeyCertificate> CertificateTable::of(KeyIndex key) const {
  const std::lock_guard lock(mutex_);
  std::vector<KeyCertificate> out;
  const auto it = of_key_.find(key);
  if (it == of_key_.end()) return out;
  for (const Binding& binding : it->second) {
    const Entry& entry = entries_[binding.entry];
    out.push_back({entry.sha256, entry.subject, WallTime(std::chrono::seconds(entry.expires_s)), binding.since});
  }
  return out;
}

std::size_t CertificateTable::count_of(KeyIndex key) const {
  const std::lock_guard lock(mutex_);
  const auto it = of_key_.find(key);
  return it == of_key_.end() ? 0 : it->second.size();
}

void CertificateTable::put(Slots& slots, const KeyHash& sha256, std::uint32_t index) {
  std::size_t i = sha256[0] & slots.mask;
  while (slots.of[i].load(std::memory_order_relaxed) != 0) i = (i + 1) & slots.mask;
  slots.of[i].store(index + 1, std::memory_order_release);
}

std::uint32_t CertificateTable::add(const KeyCertificate& certificate) {
  const Slots* slots = slots_.load(std::memory_order_relaxed);
  if (slots == nullptr || (entries_.size() + 1) * 3 > (slots->mask + 1) * 2) {
    auto larger = std::make_unique<Slots>(slots == nullptr ? kFirstSlots : 2 * (slots->mask + 1));
    for (std::uint32_t i = 0; i < entries_.size(); ++i) put(*larger, entries_[i].sha256, i);
    slots_.store(larger.get(), std::memory_order_release);
    all_slots_.push_back(std::move(larger));
  }
  Entry& entry = entries_.prepare();
  entry.sha256 = certificate.sha256;
  entry.subject = certificate.subject;
  entry.expires_s = seconds_until(certificate.expires);
  const auto index = static_cast<std::uint32_t>(entries_.publish());
  put(*slots_.load(std::memory_order_relaxed), certificate.sha256, index);
  return index;
}

void CertificateTable::bind(KeyIndex key, const KeyCertificate& certificate) {
  std::uint32_t index = index_of(certificate.sha256);
  if (index == KeyTable::kNone) index = add(certificate);
  {
    const std::lock_guard lock(mutex_);
    auto& bindings = of_key_[key];
    if (std::any_of(bindings.begin(), bindings.end(), [&](const Binding& b) { return b.entry == index; })) return;
    bindings.push_back({index, certificate.bound});
  }
  entries_[index].last.store(key, std::memory_order_relaxed);
  entries_[index].key.store(key, std::memory_order_release);
}

bool CertificateTable::unbind(KeyIndex key, const KeyHash& sha256) {
  const std::uint32_t index = index_of(sha256);
  if (index == KeyTable::kNone || entries_[index].key.load(std::memory_order_relaxed) != key) return false;
  entries_[index].key.store(KeyTable::kNone, std::memory_order_release);
  const std::lock_guard lock(mutex_);
  const auto it = of_key_.find(key);
  std::erase_if(it->second, [&](const Binding& b) { return b.entry == index; });
  if (it->second.empty()) of_key_.erase(it);
  return true;
}

std::uint64_t CertificateTable::bytes() const {
  std::uint64_t bytes = entries_.bytes();
  for (const auto& s : all_slots_) bytes += (s->mask + 1) * sizeof(std::uint32_t);
  const std::lock_guard lock(mutex_);
  return bytes + of_key_.size() * 96;
}

}  // namespace tidemill
