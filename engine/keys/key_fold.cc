#include "engine/keys/key_fold.h"

#include <algorithm>
#include <utility>

#include "storage/base/logger.h"
#include "storage/seam/clock.h"
#include "storage/seam/executor.h"

namespace tidemill {
namespace {

constexpr std::chrono::hours kNoteEvery{1};
constexpr std::uint32_t kNoteAgainMinutes = 24 * 60;  // a key in steady use costs an entry a day
constexpr std::size_t kNotedAtOnce = 10'000;          // keys in one event

}  // namespace

void KeyFold::fold(const SystemStream::Event& event) {
  const std::lock_guard lock(mutex_);
  if (apply(event)) return;
  unreadable = true;
  env_.logger.error("the system stream holds an event about keys that this version cannot read; start a later version",
                    {{"event", std::string(event.type)}, {"sequence", std::to_string(event.sequence.value())}});
}

bool KeyFold::apply(const SystemStream::Event& event) {
  const std::uint32_t now_s = seconds_of(event.time);
  if (event.type == "key.created") {
    const auto created = reader_.created(event.json);
    if (!created || table.full() || table.find(created->key.id)) return false;
    table.add(created->key, created->proof.hash ? &*created->proof.hash : nullptr, now_s, replaying_);
    if (!created->proof.hash) aws_[created->key.id].now = created->proof.sealed;
    return true;
  }
  if (event.type == "key.rotated") {
    const auto rotated = reader_.rotated(event.json);
    const auto at = rotated ? table.find(rotated->id) : std::nullopt;
    if (!at) return false;
    auto& entry = table.at(*at);
    if (rotated->proof.hash.has_value() != (entry.kind == KeyKind::api)) return false;
    if (rotated->proof.hash) {
      table.rotate(entry, *rotated->proof.hash, seconds_until(rotated->older_until), now_s, replaying_);
    } else {
      AwsSecrets& aws = aws_[rotated->id];
      aws = {rotated->proof.sealed, std::move(aws.now), rotated->older_until};
    }
    return true;
  }
  if (event.type == "key.revoked") {
    const auto revoked = reader_.revoked(event.json);
    const auto at = revoked ? table.find(revoked->id) : std::nullopt;
    if (!at) return false;
    std::uint32_t never = 0;
    table.at(*at).revoked_s.compare_exchange_strong(never, seconds_of(revoked->at));
    return true;
  }
  if (event.type == "key.bound") {
    const auto bound_now = reader_.bound(event.json);
    return bound_now && bound(*bound_now);
  }
  if (event.type == "key.unbound") {
    const auto unbound_now = reader_.unbound(event.json);
    return unbound_now && unbound(*unbound_now);
  }
  if (event.type != "key.used") return false;
  const auto some = reader_.used(event.json);
  return some && used(*some);
}

bool KeyFold::bound(const KeyBound& event) {
  const auto at = table.find(event.id);
  if (!at || certificates.full()) return false;
  const auto has_it = certificates.key_of(event.certificate.sha256);
  if (has_it && *has_it != *at) return false;
  certificates.bind(*at, event.certificate);
  return true;
}

bool KeyFold::unbound(const KeyUnbound& event) {
  const auto at = table.find(event.id);
  return at && certificates.unbind(*at, event.sha256);
}

bool KeyFold::used(const KeysUsed& event) {
  for (const auto& [id, minute] : event.minutes) {
    const auto at = table.find(id);
    if (!at) return false;
    auto& entry = table.at(*at);
    entry.noted_min = std::max(entry.noted_min, minute);
    if (entry.used_min.load(std::memory_order_relaxed) < minute) entry.used_min.store(minute);
  }
  return true;
}

std::uint64_t KeyFold::bytes() const {
  const std::lock_guard lock(mutex_);
  return table.bytes() + certificates.bytes() + aws_.size() * 200;
}

std::optional<std::vector<std::string>> KeyFold::sealed(KeyId id) const {
  const std::lock_guard lock(mutex_);
  const auto it = aws_.find(id);
  if (it == aws_.end()) return std::nullopt;
  std::vector<std::string> out{it->second.now};
  if (!it->second.before.empty() && env_.clock.wall() < it->second.until) out.push_back(it->second.before);
  return out;
}

std::optional<WallTime> KeyFold::aws_older_until(KeyId id) const {
  const std::lock_guard lock(mutex_);
  const auto it = aws_.find(id);
  if (it == aws_.end() || it->second.before.empty()) return std::nullopt;
  return it->second.until;
}

bool KeyFold::aws_in_use() const {
  const std::lock_guard lock(mutex_);
  return std::any_of(aws_.begin(), aws_.end(), [&](const auto& a) {
    const auto at = table.find(a.first);
    return at && table.at(*at).revoked_s.load() == 0;
  });
}

std::vector<std::string> KeyFold::unnoted(bool all) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> events;
  KeysUsed some;
  for (std::size_t i = 0; i < table.size(); ++i) {
    const auto& entry = table.at(static_cast<KeyTable::Index>(i));
    const std::uint32_t used = entry.used_min.load(std::memory_order_relaxed);
    if (used <= entry.noted_min || (!all && entry.noted_min != 0 && used - entry.noted_min < kNoteAgainMinutes))
      continue;
    some.minutes.emplace_back(entry.id, used);
    if (some.minutes.size() == kNotedAtOnce) events.push_back(encode(std::exchange(some, {})));
  }
  if (!some.minutes.empty()) events.push_back(encode(some));
  return events;
}

void KeyFold::note_later() {
  env_.background.post_after(kNoteEvery, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self || self->closed.load()) return;
    for (const std::string& event : self->unnoted(false))
      self->system_.append_async("key.used", event, {}, [self](const Result<Sequence>& done) {
        if (!done)
          self->env_.logger.warning("when keys were last used was not written down",
                                    {{"cause", done.error().message()}});
      });
    self->note_later();
  });
}

}  // namespace tidemill
