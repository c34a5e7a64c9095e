#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/keys/key_text.h"
#include "engine/keys/principal.h"
#include "engine/system_stream.h"
#include "storage/base/result.h"
#include "storage/base/time.h"
#include "storage/seam/env.h"
#include "storage/seam/private_files.h"

namespace tidemill {

enum class KeyKind : std::uint8_t {
  api,  // a text that a request carries; only a hash of it is kept
  aws,  // an access key id and a secret that signs requests; the secret is kept encrypted
};
std::string_view key_kind_name(KeyKind kind);

// A client certificate that stands for a key: a request over TLS that shows it, and no key, is that key's.
struct KeyCertificate {
  KeyHash sha256{};     // of the whole certificate (DER)
  std::string subject;  // RFC 2253, at most 255 bytes; for people
  WallTime expires{};   // the certificate's own end
  WallTime bound{};
};
inline constexpr std::size_t kCertificatesOfKeyMax = 2;  // the one of now, and the next

// What is known of a key, but its secret.
struct KeyRecord {
  KeyId id;
  KeyKind kind = KeyKind::api;
  std::string name;  // for people
  std::string tenant;
  std::vector<Scope> scopes;
  WallTime created{};
  std::optional<WallTime> expires;
  std::optional<WallTime> revoked;
  std::optional<WallTime> last_used;    // to the minute; after a crash as it was noted, up to a day before
  std::optional<WallTime> older_until;  // the secret of before the last rotation is taken until then
  std::vector<KeyCertificate> certificates;

  enum class State { active, expired, revoked };
  State state(WallTime now) const {
    return revoked ? State::revoked : expires && *expires <= now ? State::expired : State::active;
  }
};

// Why a change of keys was refused; else an error of storage. The sentences are docs/errors.md's.
enum class KeyErrc {
  no_such_key = 1,
  key_ended,          // revoked or expired: it cannot be rotated
  too_many_keys,      // 32 million in the life of a data directory
  instance_key_open,  // others may read DATA/instance.key; the log names it
  instance_key_gone,  // it is missing, or not the one that the secrets of kind aws were encrypted with
  certificate_bound,  // it stands for another key, or has stood for one of another tenant
  too_many_certificates,
  no_such_certificate,  // the key does not have it
  not_for_kind,         // only keys of kind api have certificates
};
ErrorCode make_error_code(KeyErrc e);

// A sentence of what is wrong with a key's name, tenant, scopes or end; empty: nothing.
struct WantedKey {
  KeyKind kind = KeyKind::api;
  std::string name;
  std::string tenant = "default";
  std::vector<Scope> scopes;
  std::optional<WallTime> expires;
};
std::string fault_of(const WantedKey& wanted, WallTime now);

// All keys of one data directory: a fold of the `key.*` events of the system stream, compact in memory (some 140 bytes
// for a key with a short name) and looked up without a lock. Made by main, after the engine and before whoever serves;
// must not outlive the engine. Any thread.
class Keys {
 public:
  struct Options {
    std::string directory;        // DATA, where instance.key is
    PrivateFiles& private_files;  // outlives this
  };
  // `env`: Engine::control(). Blocks on the disk. StorageErrc::damaged: an event cannot be read; it said which. To pass
  // over one could open what a key was to close.
  static Result<std::unique_ptr<Keys>> open(Env& env, SystemStream& system, const Options& options);
  virtual ~Keys() = default;

  // Whether one was ever made. Once there was one, nobody is served without a key again.
  virtual bool any() const = 0;

  enum class Verdict : std::uint8_t {
    good,
    malformed,  // not what a key looks like, or mistyped
    unknown,    // no such key, or a wrong secret: nobody is told which
    expired,    // the secret is right
    revoked,    // the secret is right
    certificate_ended,
  };
  struct Found {
    Verdict verdict = Verdict::unknown;
    KeyId id;                              // where the secret is right
    std::shared_ptr<const Principal> who;  // where it is good
    KeyHash shown{};                       // the hash of what came, where it is good
  };
  // Judges the text of a key of kind `api`, and notes that it was used. Never blocks.
  virtual Found check(std::string_view text) = 0;
  // The same of a key that check() found good, by the hash of what came then: for answers that go on for long.
  virtual Found check_again(KeyId id, const KeyHash& shown) = 0;
  // The same of a certificate, which whoever asks has verified. Never blocks. unknown: it stands for no key.
  virtual Found check_certificate(const KeyHash& sha256, WallTime expires) = 0;
  virtual std::optional<KeyId> key_of_certificate(const KeyHash& sha256) const = 0;  // in whatever state the key is

  // The changes are durable when they return; they block, and never run inside an executor's task that the system
  // stream needs (Engine::control()) nor on a network thread. `by`: the key that asks for it; none: somebody on the
  // machine itself. What they return of secrets is kept nowhere: it is shown once.
  struct Issued {
    KeyRecord key;
    SecretText secret;       // api: the whole key; aws: the secret access key
    std::string access_key;  // aws: the access key id
  };
  virtual Result<Issued> create(const WantedKey& wanted, std::optional<KeyId> by) = 0;
  // A new secret; the one of now is taken for `grace` more, one of an earlier rotation not any more.
  virtual Result<Issued> rotate(KeyId id, std::chrono::seconds grace, std::optional<KeyId> by) = 0;
  virtual Result<KeyRecord> revoke(KeyId id, std::optional<KeyId> by) = 0;  // a revoked one stays as it is

  // The certificate stands for the key from now on; where it does already nothing happens. One stands for one key only,
  // and one that has stood for a key of a tenant is that tenant's for good, unless `of_any_tenant`.
  virtual Result<KeyRecord> bind(KeyId id, const KeyCertificate& certificate, bool of_any_tenant,
                                 std::optional<KeyId> by) = 0;
  virtual Result<KeyRecord> unbind(KeyId id, const KeyHash& sha256, std::optional<KeyId> by) = 0;

  virtual std::optional<KeyRecord> find(KeyId id) const = 0;
  // In the order of their making: those of one tenant, or of all (empty), from that key on, or from the first. nullopt:
  // `from` is none of them. Pages go on at an id, for a number would tell a tenant how many keys the others have.
  struct Page {
    std::vector<KeyRecord> keys;
    std::optional<KeyId> next;
  };
  virtual std::optional<Page> list(std::string_view tenant, std::optional<KeyId> from, std::size_t limit) const = 0;
  struct Counts {
    std::uint64_t active = 0, expired = 0, revoked = 0;
  };
  virtual Counts counts() const = 0;
  virtual std::uint64_t bytes() const = 0;  // of memory, about

  // Secrets of a key of kind `aws`, the newest first: what signatures are checked with. Blocks on the disk at first.
  virtual Result<std::vector<SecretText>> aws_secrets(KeyId id) = 0;

  // Writes down when keys were last used, where that is not yet known there. Blocks. It happens by itself once an hour.
  virtual Result<void> note_used() = 0;
  virtual Result<void> close() = 0;  // note_used(), and no more by itself. Before Engine::close()
};

}  // namespace tidemill

template <>
struct boost::system::is_error_code_enum<tidemill::KeyErrc> : std::true_type {};
