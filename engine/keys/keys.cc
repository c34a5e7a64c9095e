#include "engine/keys/keys.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include "engine/keys/instance_key.h"
#include "engine/keys/key_events.h"
#include "engine/keys/key_table.h"
#include "storage/base/errors.h"
#include "storage/base/logger.h"
#include "storage/seam/clock.h"
#include "storage/seam/executor.h"

namespace tidemill {
namespace {

constexpr std::chrono::hours kNoteEvery{1};
constexpr std::uint32_t kNoteAgainMinutes = 24 * 60;  // a key in steady use costs an entry a day
constexpr std::size_t kNotedAtOnce = 10'000;          // keys in one event

std::uint32_t minutes_of(WallTime time) {
  return static_cast<std::uint32_t>(std::chrono::floor<std::chrono::minutes>(time.time_since_epoch()).count());
}

// The state that the fold writes. Shared with the system stream's fold and the timer, which may outlive the Keys.
class Folded final : public std::enable_shared_from_this<Folded> {
 public:
  Folded(Env& e, SystemStream& s) : env(e), system(s) {}

  Env& env;
  SystemStream& system;
  KeyTable table;
  bool unreadable = false;
  std::atomic<bool> closed{false};

  void fold(const SystemStream::Event& event) {
    const std::lock_guard lock(mutex_);
    if (apply(event)) return;
    unreadable = true;
    env.logger.error("the system stream holds an event about keys that this version cannot read; start a later version",
                     {{"event", std::string(event.type)}, {"sequence", std::to_string(event.sequence.value())}});
  }
  void start() { replaying_ = false; }

  std::uint64_t bytes() const {
    const std::lock_guard lock(mutex_);
    return table.bytes() + aws_.size() * 200;
  }
  std::optional<std::vector<std::string>> sealed(KeyId id) const {
    const std::lock_guard lock(mutex_);
    const auto it = aws_.find(id);
    if (it == aws_.end()) return std::nullopt;
    std::vector<std::string> out{it->second.now};
    if (!it->second.before.empty() && env.clock.wall() < it->second.until) out.push_back(it->second.before);
    return out;
  }
  std::optional<WallTime> aws_older_until(KeyId id) const {
    const std::lock_guard lock(mutex_);
    const auto it = aws_.find(id);
    if (it == aws_.end() || it->second.before.empty()) return std::nullopt;
    return it->second.until;
  }
  bool aws_in_use() const {
    const std::lock_guard lock(mutex_);
    return std::any_of(aws_.begin(), aws_.end(), [&](const auto& a) {
      const auto at = table.find(a.first);
      return at && table.at(*at).revoked_s.load() == 0;
    });
  }

  // What is not in the stream yet. `all`: also of keys whose use was noted within the day.
  std::vector<std::string> unnoted(bool all) const {
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

  void note_later() {
    env.background.post_after(kNoteEvery, [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self || self->closed.load()) return;
      for (const std::string& event : self->unnoted(false))
        self->system.append_async("key.used", event, {}, [self](const Result<Sequence>& done) {
          if (!done)
            self->env.logger.warning("when keys were last used was not written down",
                                     {{"cause", done.error().message()}});
        });
      self->note_later();
    });
  }

 private:
  struct AwsSecrets {
    std::string now, before;
    WallTime until{};
  };

  bool apply(const SystemStream::Event& event) {
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
        table.rotate(entry, *rotated->proof.hash, seconds_of(rotated->older_until), now_s, replaying_);
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
    if (event.type != "key.used") return false;
    const auto used = reader_.used(event.json);
    if (!used) return false;
    for (const auto& [id, minute] : used->minutes) {
      const auto at = table.find(id);
      if (!at) return false;
      auto& entry = table.at(*at);
      entry.noted_min = std::max(entry.noted_min, minute);
      if (entry.used_min.load(std::memory_order_relaxed) < minute) entry.used_min.store(minute);
    }
    return true;
  }

  mutable std::mutex mutex_;  // for what readers do not touch; held by the fold
  KeyEventReader reader_;
  bool replaying_ = true;
  std::map<KeyId, AwsSecrets> aws_;
};

class KeysImpl final : public Keys {
 public:
  KeysImpl(Env& env, SystemStream& system, const Options& options)
      : env_(env),
        system_(system),
        folded_(std::make_shared<Folded>(env, system)),
        instance_key_(env, options.directory, options.private_files) {}
  ~KeysImpl() override { folded_->closed = true; }

  Result<void> start() {
    RETURN_IF_ERROR(
        system_.fold("key.", [folded = folded_](const SystemStream::Event& event) { folded->fold(event); }));
    if (folded_->unreadable) return StorageErrc::damaged;
    folded_->start();
    folded_->note_later();
    return {};
  }

  bool any() const override { return table().size() != 0; }
  Found check(std::string_view text) override;
  Result<Issued> create(const WantedKey& wanted, std::optional<KeyId> by) override;
  Result<Issued> rotate(KeyId id, std::chrono::seconds grace, std::optional<KeyId> by) override;
  Result<KeyRecord> revoke(KeyId id, std::optional<KeyId> by) override;

  std::optional<KeyRecord> find(KeyId id) const override {
    const auto at = table().find(id);
    if (!at) return std::nullopt;
    KeyRecord key = table().record(table().at(*at));
    if (key.kind == KeyKind::aws) key.older_until = folded_->aws_older_until(id);
    return key;
  }
  Page list(std::string_view tenant, std::uint64_t from, std::size_t limit) const override;
  Counts counts() const override;
  std::uint64_t bytes() const override { return folded_->bytes(); }
  Result<std::vector<SecretText>> aws_secrets(KeyId id) override;
  Result<void> note_used() override { return note(false); }
  Result<void> close() override {
    if (folded_->closed.exchange(true)) return {};
    return note(true);
  }

 private:
  const KeyTable& table() const { return folded_->table; }
  Result<KeyProof> make_secret(Issued& issued);
  Result<void> note(bool all) {
    for (const std::string& event : folded_->unnoted(all)) RETURN_IF_ERROR(system_.append("key.used", event));
    return {};
  }
  Result<KeyRecord> live(KeyId id) const {
    const auto key = find(id);
    if (!key) return KeyErrc::no_such_key;
    if (key->state(env_.clock.wall()) != KeyRecord::State::active) return KeyErrc::key_ended;
    return *key;
  }

  Env& env_;
  SystemStream& system_;
  const std::shared_ptr<Folded> folded_;
  std::mutex sealing_;
  InstanceKey instance_key_;
};

Keys::Found KeysImpl::check(std::string_view text) {
  const auto id = key_id_of(text);
  if (!id) return {Verdict::malformed, {}, nullptr};
  const auto at = table().find(*id);
  if (!at) return {Verdict::unknown, {}, nullptr};
  auto& entry = table().at(*at);
  const WallTime now = env_.clock.wall();
  const auto now_s =
      static_cast<std::uint32_t>(std::chrono::floor<std::chrono::seconds>(now.time_since_epoch()).count());
  if (!table().has_secret(entry, hash_of_key(text), now_s)) return {Verdict::unknown, {}, nullptr};
  if (entry.revoked_s.load(std::memory_order_acquire) != 0) return {Verdict::revoked, *id, nullptr};
  if (entry.expires_s != 0 && entry.expires_s <= now_s) return {Verdict::expired, *id, nullptr};
  const std::uint32_t minute = minutes_of(now);
  // Once a minute, so that a busy key's cache line stays shared.
  if (entry.used_min.load(std::memory_order_relaxed) < minute) entry.used_min.store(minute, std::memory_order_relaxed);
  return {Verdict::good, *id, table().principal(entry)};
}

Result<KeyProof> KeysImpl::make_secret(Issued& issued) {
  KeyProof proof;
  if (issued.key.kind == KeyKind::api) {
    issued.secret = make_key_text(issued.key.id, env_.random);
    proof.hash = hash_of_key(issued.secret.view());
    return proof;
  }
  issued.access_key = access_key_of(issued.key.id);
  issued.secret = make_aws_secret(env_.random);
  // A missing file is made anew only where no key is lost by that.
  const std::lock_guard one_at_a_time(sealing_);
  ASSIGN_OR_RETURN(proof.sealed,
                   instance_key_.seal(issued.secret.view(), to_text(issued.key.id), !folded_->aws_in_use()));
  return proof;
}

Result<Keys::Issued> KeysImpl::create(const WantedKey& wanted, std::optional<KeyId> by) {
  Issued issued;
  KeyRecord& key = issued.key;
  do {
    key.id.value = env_.random.next();
  } while (table().find(key.id));
  key.kind = wanted.kind;
  key.name = wanted.name;
  key.tenant = wanted.tenant;
  key.scopes = wanted.scopes;
  key.created = env_.clock.wall();
  key.expires = wanted.expires;
  ASSIGN_OR_RETURN(KeyProof proof, make_secret(issued));
  const std::string event = encode(KeyCreated{key, std::move(proof), by});
  RETURN_IF_ERROR(system_.append("key.created", event, [this, id = key.id]() -> Result<void> {
    if (table().full() || table().find(id)) return KeyErrc::too_many_keys;
    return {};
  }));
  key = *find(key.id);
  return issued;
}

Result<Keys::Issued> KeysImpl::rotate(KeyId id, std::chrono::seconds grace, std::optional<KeyId> by) {
  Issued issued;
  ASSIGN_OR_RETURN(issued.key, live(id));
  ASSIGN_OR_RETURN(KeyProof proof, make_secret(issued));
  const std::string event = encode(KeyRotated{id, std::move(proof), env_.clock.wall() + grace, by});
  RETURN_IF_ERROR(system_.append("key.rotated", event, [this, id]() -> Result<void> {
    if (auto now = live(id); !now) return now.error();
    if (table().full()) return KeyErrc::too_many_keys;
    return {};
  }));
  issued.key = *find(id);
  return issued;
}

Result<KeyRecord> KeysImpl::revoke(KeyId id, std::optional<KeyId> by) {
  const auto key = find(id);
  if (!key) return KeyErrc::no_such_key;
  if (key->revoked) return *key;
  RETURN_IF_ERROR(system_.append("key.revoked", encode(KeyRevoked{id, env_.clock.wall(), by})));
  return *find(id);
}

Keys::Page KeysImpl::list(std::string_view tenant, std::uint64_t from, std::size_t limit) const {
  Page page;
  const std::size_t size = table().size();
  for (std::size_t i = from; i < size; ++i) {
    const auto& entry = table().at(static_cast<KeyTable::Index>(i));
    if (!tenant.empty() && table().principal(entry)->tenant != tenant) continue;
    if (page.keys.size() == limit) {
      page.next = i;
      break;
    }
    page.keys.push_back(table().record(entry));
  }
  return page;
}

Keys::Counts KeysImpl::counts() const {
  Counts counts;
  const std::uint32_t now_s = seconds_of(env_.clock.wall());
  for (std::size_t i = 0, size = table().size(); i < size; ++i) {
    const auto& entry = table().at(static_cast<KeyTable::Index>(i));
    const bool revoked = entry.revoked_s.load(std::memory_order_relaxed) != 0;
    const bool expired = entry.expires_s != 0 && entry.expires_s < now_s;
    ++(revoked ? counts.revoked : expired ? counts.expired : counts.active);
  }
  return counts;
}

Result<std::vector<SecretText>> KeysImpl::aws_secrets(KeyId id) {
  const auto sealed = folded_->sealed(id);
  if (!sealed) return KeyErrc::no_such_key;
  std::vector<SecretText> secrets;
  const std::lock_guard one_at_a_time(sealing_);
  for (const std::string& one : *sealed) {
    ASSIGN_OR_RETURN(SecretText secret, instance_key_.open(one, to_text(id)));
    secrets.push_back(std::move(secret));
  }
  return secrets;
}

class KeyCategory final : public boost::system::error_category {
 public:
  const char* name() const noexcept override { return "tidemill.keys"; }
  std::string message(int code) const override {
    switch (static_cast<KeyErrc>(code)) {
      case KeyErrc::no_such_key:
        return "there is no key of that id";
      case KeyErrc::key_ended:
        return "the key was revoked, or has expired";
      case KeyErrc::too_many_keys:
        return "the data directory has had as many keys as it can have";
      case KeyErrc::instance_key_open:
        return "others than its owner may read instance.key";
      case KeyErrc::instance_key_gone:
        return "instance.key is missing, or is another one";
    }
    return "unknown error of keys";
  }
};

}  // namespace

ErrorCode make_error_code(KeyErrc e) {
  static const KeyCategory category;
  return {static_cast<int>(e), category};
}

std::string_view key_kind_name(KeyKind kind) {
  return kind == KeyKind::api ? "api" : "aws";
}

std::string fault_of(const WantedKey& wanted, WallTime now) {
  if (wanted.name.empty() || wanted.name.size() > 100 ||
      std::any_of(wanted.name.begin(), wanted.name.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }))
    return "A key's name is 1 to 100 bytes of text, without control characters.";
  if (!valid_tenant_name(wanted.tenant)) return "A tenant's name is 1 to 64 of A-Z a-z 0-9 _ and -.";
  if (wanted.scopes.empty() || wanted.scopes.size() > 100) return "A key has 1 to 100 scopes.";
  if (wanted.expires && *wanted.expires <= now) return "The key would have expired already.";
  if (wanted.expires && *wanted.expires > now + std::chrono::hours(24 * 366 * 50))
    return "A key expires within 50 years, or never.";
  return {};
}

Result<std::unique_ptr<Keys>> Keys::open(Env& env, SystemStream& system, const Options& options) {
  auto keys = std::make_unique<KeysImpl>(env, system, options);
  RETURN_IF_ERROR(keys->start());
  return std::unique_ptr<Keys>(std::move(keys));
}

}  // namespace tidemill
