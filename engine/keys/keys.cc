#include "engine/keys/keys.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <mutex>
#include <utility>

#include "engine/keys/instance_key.h"
#include "engine/keys/key_events.h"
#include "engine/keys/key_fold.h"
#include "engine/qualified_name.h"
#include "storage/base/errors.h"
#include "storage/base/logger.h"
#include "storage/base/unicode.h"
#include "storage/seam/clock.h"
#include "storage/seam/executor.h"

namespace tidemill {
namespace {

std::uint32_t minutes_of(WallTime time) {
  return static_cast<std::uint32_t>(std::chrono::floor<std::chrono::minutes>(time.time_since_epoch()).count());
}

std::uint32_t whole_seconds(WallTime now) {
  return static_cast<std::uint32_t>(std::chrono::floor<std::chrono::seconds>(now.time_since_epoch()).count());
}

class KeysImpl final : public Keys {
 public:
  KeysImpl(Env& env, SystemStream& system, const Options& options)
      : env_(env),
        system_(system),
        folded_(std::make_shared<KeyFold>(env, system)),
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
  Found check_again(KeyId id, const KeyHash& shown) override;
  Found check_certificate(const KeyHash& sha256, WallTime expires) override;
  std::optional<KeyId> key_of_certificate(const KeyHash& sha256) const override {
    const auto at = folded_->certificates.key_of(sha256);
    return at ? std::optional(table().at(*at).id) : std::nullopt;
  }
  Result<Issued> create(const WantedKey& wanted, std::optional<KeyId> by) override;
  Result<Issued> rotate(KeyId id, std::chrono::seconds grace, std::optional<KeyId> by) override;
  Result<KeyRecord> revoke(KeyId id, std::optional<KeyId> by) override;
  Result<KeyRecord> bind(KeyId id, const KeyCertificate& certificate, bool of_any_tenant,
                         std::optional<KeyId> by) override;
  Result<KeyRecord> unbind(KeyId id, const KeyHash& sha256, std::optional<KeyId> by) override;

  std::optional<KeyRecord> find(KeyId id) const override {
    const auto at = table().find(id);
    if (!at) return std::nullopt;
    KeyRecord key = record(*at);
    if (key.kind == KeyKind::aws) key.older_until = folded_->aws_older_until(id);
    return key;
  }
  std::optional<Page> list(std::string_view tenant, std::optional<KeyId> from, std::size_t limit) const override;
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
  KeyRecord record(KeyTable::Index at) const {
    KeyRecord key = table().record(table().at(at));
    key.certificates = folded_->certificates.of(at);
    return key;
  }
  // The verdict about a key that somebody has proved to have.
  Found judge(KeyTable::Index at);
  bool may_have(KeyId id, const KeyHash& certificate, bool of_any_tenant) const;
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
  const std::shared_ptr<KeyFold> folded_;
  std::mutex sealing_;
  InstanceKey instance_key_;
};

Keys::Found KeysImpl::check(std::string_view text) {
  const auto id = key_id_of(text);
  if (!id) return {Verdict::malformed, {}, nullptr};
  // One that is not there is not worth a hash: ids are no secret.
  return table().find(*id) ? check_again(*id, hash_of_key(text)) : Found{Verdict::unknown, {}, nullptr};
}

Keys::Found KeysImpl::check_again(KeyId id, const KeyHash& shown) {
  const auto at = table().find(id);
  if (!at || !table().has_secret(table().at(*at), shown, whole_seconds(env_.clock.wall())))
    return {Verdict::unknown, {}, nullptr};
  Found found = judge(*at);
  found.shown = shown;
  return found;
}

Keys::Found KeysImpl::judge(KeyTable::Index at) {
  auto& entry = table().at(at);
  const WallTime now = env_.clock.wall();
  if (entry.revoked_s.load(std::memory_order_acquire) != 0) return {Verdict::revoked, entry.id, nullptr};
  if (entry.expires_s != 0 && entry.expires_s <= whole_seconds(now)) return {Verdict::expired, entry.id, nullptr};
  const std::uint32_t minute = minutes_of(now);
  // Once a minute, so that a busy key's cache line stays shared.
  if (entry.used_min.load(std::memory_order_relaxed) < minute) entry.used_min.store(minute, std::memory_order_relaxed);
  return {Verdict::good, entry.id, table().principal(entry)};
}

Keys::Found KeysImpl::check_certificate(const KeyHash& sha256, WallTime expires) {
  const auto at = folded_->certificates.key_of(sha256);
  if (!at) return {Verdict::unknown, {}, nullptr};
  // The handshake has looked at that; the connection may have outlived the certificate.
  if (expires <= env_.clock.wall()) return {Verdict::certificate_ended, table().at(*at).id, nullptr};
  return judge(*at);
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

bool KeysImpl::may_have(KeyId id, const KeyHash& certificate, bool of_any_tenant) const {
  const auto at = table().find(id);
  const auto last = folded_->certificates.last_key_of(certificate);
  if (!at || !last) return at.has_value();
  if (const auto now = folded_->certificates.key_of(certificate)) return *now == *at;
  return of_any_tenant || table().principal(table().at(*last))->tenant == table().principal(table().at(*at))->tenant;
}

Result<KeyRecord> KeysImpl::bind(KeyId id, const KeyCertificate& certificate, bool of_any_tenant,
                                 std::optional<KeyId> by) {
  ASSIGN_OR_RETURN(const KeyRecord key, live(id));
  if (key.kind != KeyKind::api) return KeyErrc::not_for_kind;
  if (key_of_certificate(certificate.sha256) == id) return key;
  KeyBound event{id, certificate, by};
  event.certificate.bound = env_.clock.wall();
  RETURN_IF_ERROR(system_.append("key.bound", encode(event), [&]() -> Result<void> {
    if (auto now = live(id); !now) return now.error();
    if (!may_have(id, certificate.sha256, of_any_tenant)) return KeyErrc::certificate_bound;
    if (key_of_certificate(certificate.sha256) == id) return {};
    if (folded_->certificates.full() || folded_->certificates.count_of(*table().find(id)) >= kCertificatesOfKeyMax)
      return KeyErrc::too_many_certificates;
    return {};
  }));
  return *find(id);
}

Result<KeyRecord> KeysImpl::unbind(KeyId id, const KeyHash& sha256, std::optional<KeyId> by) {
  if (!table().find(id)) return KeyErrc::no_such_key;
  const std::string event = encode(KeyUnbound{id, sha256, env_.clock.wall(), by});
  RETURN_IF_ERROR(system_.append("key.unbound", event, [&]() -> Result<void> {
    if (key_of_certificate(sha256) != id) return KeyErrc::no_such_certificate;
    return {};
  }));
  return *find(id);
}

std::optional<Keys::Page> KeysImpl::list(std::string_view tenant, std::optional<KeyId> from, std::size_t limit) const {
  Page page;
  const std::size_t size = table().size();
  const auto first = from ? table().find(*from) : KeyTable::Index{0};
  if (!first || (from && !tenant.empty() && table().principal(table().at(*first))->tenant != tenant))
    return std::nullopt;
  for (std::size_t i = *first; i < size; ++i) {
    const auto& entry = table().at(static_cast<KeyTable::Index>(i));
    if (!tenant.empty() && table().principal(entry)->tenant != tenant) continue;
    if (page.keys.size() == limit) {
      page.next = entry.id;
      break;
    }
    page.keys.push_back(record(static_cast<KeyTable::Index>(i)));
  }
  return page;
}

Keys::Counts KeysImpl::counts() const {
  Counts counts;
  const std::uint32_t now_s = seconds_of(env_.clock.wall());
  for (std::size_t i = 0, size = table().size(); i < size; ++i) {
    const auto& entry = table().at(static_cast<KeyTable::Index>(i));
    const bool revoked = entry.revoked_s.load(std::memory_order_relaxed) != 0;
    const bool expired = entry.expires_s != 0 && entry.expires_s <= now_s;
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
      case KeyErrc::certificate_bound:
        return "the certificate stands for another key";
      case KeyErrc::too_many_certificates:
        return "the key has as many certificates as it can have";
      case KeyErrc::no_such_certificate:
        return "the key does not have this certificate";
      case KeyErrc::not_for_kind:
        return "only keys of kind api have certificates";
    }
    return "unknown error of keys";
  }
};

// What a list of keys shows must be what it is: nobody may name a key so that it looks like another.
std::string fault_of_name(std::string_view name) {
  if (name.empty() || name.size() > 100) return "A key's name is 1 to 100 bytes of text.";
  const auto unseen = first_unseen(name);
  if (!unseen) return {};
  if (*unseen == 0xFFFD) return "A key's name is text in UTF-8.";
  char code[16];
  std::snprintf(code, sizeof code, "U+%04X", static_cast<unsigned>(*unseen));
  return "The key's name has " + std::string(code) +
         ", a character that is not seen or turns the direction of text, so that a list of keys would show another "
         "name: leave it out.";
}

}  // namespace

ErrorCode make_error_code(KeyErrc e) {
  static const KeyCategory category;
  return {static_cast<int>(e), category};
}

std::string_view key_kind_name(KeyKind kind) {
  return kind == KeyKind::api ? "api" : "aws";
}

std::string fault_of(const WantedKey& wanted, WallTime now) {
  if (const std::string fault = fault_of_name(wanted.name); !fault.empty()) return fault;
  if (!valid_tenant_name(wanted.tenant))
    return "A tenant's name is 1 to 63 of a-z 0-9 and -, and does not begin with -.";
  if (wanted.scopes.empty() || wanted.scopes.size() > 100) return "A key has 1 to 100 scopes.";
  if (wanted.expires && *wanted.expires <= now)
    return "`expires` " + format_rfc3339(*wanted.expires) + " is past: the key would have expired already.";
  using namespace std::chrono;
  if (wanted.expires && *wanted.expires >= sys_days(year(2106) / 1 / 1)) return "A key expires before 2106, or never.";
  return {};
}

Result<std::unique_ptr<Keys>> Keys::open(Env& env, SystemStream& system, const Options& options) {
  auto keys = std::make_unique<KeysImpl>(env, system, options);
  RETURN_IF_ERROR(keys->start());
  return std::unique_ptr<Keys>(std::move(keys));
}

}  // namespace tidemill
