#include "engine/keys/key_table.h"

#include <algorithm>
#include <cstring>

namespace tidemill {
namespace {

constexpr std::size_t kFirstSlots = 64;
constexpr std::size_t kNameChunk = 64 << 10;
constexpr std::uint32_t kRestSeconds = 3600;  // before a secret's slot is used again: no reader is that slow

// Ids are random; this is for those of a directory that somebody wrote by hand.
std::size_t mix(KeyId id) {
  std::uint64_t x = id.value;
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdull;
  x ^= x >> 33;
  return static_cast<std::size_t>(x);
}

WallTime time_of(std::uint32_t seconds) {
  return WallTime(std::chrono::seconds(seconds));
}

std::uint64_t pack(std::uint32_t now, std::uint32_t before) {
  return std::uint64_t{before} << 32 | now;
}

}  // namespace

std::uint32_t seconds_of(WallTime time) {
  const auto s = std::chrono::ceil<std::chrono::seconds>(time.time_since_epoch()).count();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(s, 1, ~0u));
}

std::uint32_t seconds_until(WallTime end) {
  const auto s = std::chrono::floor<std::chrono::seconds>(end.time_since_epoch()).count();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(s, 1, ~0u));
}

std::optional<KeyTable::Index> KeyTable::find(KeyId id) const {
  const Slots* slots = slots_.load(std::memory_order_acquire);
  if (slots == nullptr) return std::nullopt;
  for (std::size_t i = mix(id) & slots->mask;; i = (i + 1) & slots->mask) {
    const std::uint32_t at = slots->of[i].load(std::memory_order_acquire);
    if (at == 0) return std::nullopt;
    if (entries_[at - 1].id == id) return at - 1;
  }
}

bool KeyTable::has_secret(const Entry& entry, const KeyHash& hash, std::uint32_t now_s) const {
  const std::uint64_t both = entry.secrets.load(std::memory_order_acquire);
  bool found = false;
  for (const bool before : {false, true}) {
    const auto slot = static_cast<std::uint32_t>(before ? both >> 32 : both);
    if (slot == kNone) continue;
    const Secret& secret = secrets_[slot];
    if (before && secret.until_s.load(std::memory_order_relaxed) <= now_s) continue;
    KeyHash there;
    for (std::size_t i = 0; i < there.size(); ++i) there[i] = secret.hash[i].load(std::memory_order_relaxed);
    found |= same_hash(there, hash);
  }
  return found;
}

KeyRecord KeyTable::record(const Entry& entry) const {
  KeyRecord key;
  key.id = entry.id;
  key.kind = entry.kind;
  key.name.assign(entry.name, entry.name_size);
  const Principal& who = *principal(entry);
  key.tenant = who.tenant;
  key.scopes = who.scopes;
  key.created = time_of(entry.created_s);
  if (entry.expires_s != 0) key.expires = time_of(entry.expires_s);
  if (const auto s = entry.revoked_s.load(std::memory_order_relaxed)) key.revoked = time_of(s);
  if (const auto m = entry.used_min.load(std::memory_order_relaxed)) key.last_used = WallTime(std::chrono::minutes(m));
  const auto before = static_cast<std::uint32_t>(entry.secrets.load(std::memory_order_acquire) >> 32);
  if (before != kNone) key.older_until = time_of(secrets_[before].until_s.load(std::memory_order_relaxed));
  return key;
}

std::uint32_t KeyTable::intern(const KeyRecord& key) {
  std::vector<Scope> scopes = key.scopes;
  std::sort(scopes.begin(), scopes.end());
  scopes.erase(std::unique(scopes.begin(), scopes.end()), scopes.end());
  std::string text = key.tenant;
  for (const Scope& scope : scopes) text.append("\n").append(scope_text(scope));
  const auto it = interned_.find(text);
  if (it != interned_.end()) return it->second;
  auto made = std::make_shared<Principal>();
  made->tenant = key.tenant;
  made->everything = false;
  made->scopes = std::move(scopes);
  principal_bytes_ += 2 * text.size() + 160 + made->scopes.size() * sizeof(Scope);
  principals_.prepare() = std::move(made);
  const auto index = static_cast<std::uint32_t>(principals_.publish());
  interned_.emplace(std::move(text), index);
  return index;
}

const char* KeyTable::keep_name(std::string_view name) {
  if (name.size() > name_left_) {
    names_.emplace_back(new char[kNameChunk]);
    name_left_ = kNameChunk;
    name_bytes_ += kNameChunk;
  }
  char* at = names_.back().get() + (kNameChunk - name_left_);
  std::memcpy(at, name.data(), name.size());
  name_left_ -= name.size();
  return at;
}

std::uint32_t KeyTable::new_secret(const KeyHash& hash, std::uint32_t now_s, bool replaying) {
  const auto fill = [&](Secret& secret) {
    for (std::size_t i = 0; i < hash.size(); ++i) secret.hash[i].store(hash[i], std::memory_order_relaxed);
    secret.until_s.store(0, std::memory_order_relaxed);
  };
  if (!free_secrets_.empty() && (replaying || free_secrets_.front().first + kRestSeconds < now_s)) {
    const std::uint32_t slot = free_secrets_.front().second;
    free_secrets_.pop_front();
    fill(secrets_[slot]);
    return slot;
  }
  fill(secrets_.prepare());
  return static_cast<std::uint32_t>(secrets_.publish());
}

void KeyTable::put(Slots& slots, KeyId id, Index index) {
  std::size_t i = mix(id) & slots.mask;
  while (slots.of[i].load(std::memory_order_relaxed) != 0) i = (i + 1) & slots.mask;
  slots.of[i].store(index + 1, std::memory_order_release);
}

void KeyTable::grow() {
  const Slots* old = slots_.load(std::memory_order_relaxed);
  const std::size_t n = old == nullptr ? kFirstSlots : 2 * (old->mask + 1);
  auto slots = std::make_unique<Slots>(n);
  for (Index i = 0; i < entries_.size(); ++i) put(*slots, entries_[i].id, i);
  slots_.store(slots.get(), std::memory_order_release);
  all_slots_.push_back(std::move(slots));
}

void KeyTable::add(const KeyRecord& key, const KeyHash* hash, std::uint32_t now_s, bool replaying) {
  const Slots* slots = slots_.load(std::memory_order_relaxed);
  if (slots == nullptr || (entries_.size() + 1) * 3 > (slots->mask + 1) * 2) grow();
  Entry& entry = entries_.prepare();
  entry.id = key.id;
  entry.name = keep_name(key.name);
  entry.name_size = static_cast<std::uint8_t>(key.name.size());
  entry.kind = key.kind;
  entry.principal = intern(key);
  entry.created_s = seconds_of(key.created);
  if (key.expires) entry.expires_s = seconds_until(*key.expires);
  if (hash != nullptr) entry.secrets.store(pack(new_secret(*hash, now_s, replaying), kNone), std::memory_order_release);
  put(*slots_.load(std::memory_order_relaxed), key.id, static_cast<Index>(entries_.publish()));
}

void KeyTable::rotate(Entry& entry, const KeyHash& hash, std::uint32_t older_until_s, std::uint32_t now_s,
                      bool replaying) {
  const std::uint64_t both = entry.secrets.load(std::memory_order_relaxed);
  const auto now = static_cast<std::uint32_t>(both);
  const auto before = static_cast<std::uint32_t>(both >> 32);
  if (now != kNone) secrets_[now].until_s.store(older_until_s, std::memory_order_relaxed);
  entry.secrets.store(pack(new_secret(hash, now_s, replaying), now), std::memory_order_release);
  if (before != kNone) free_secrets_.emplace_back(now_s, before);
}

std::uint64_t KeyTable::bytes() const {
  std::uint64_t slots = 0;
  for (const auto& s : all_slots_) slots += (s->mask + 1) * sizeof(std::uint32_t);
  return entries_.bytes() + secrets_.bytes() + principals_.bytes() + name_bytes_ + principal_bytes_ + slots;
}

}  // namespace tidemill
