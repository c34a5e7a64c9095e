#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/keys/certificate_table.h"
#include "engine/keys/key_events.h"
#include "engine/keys/key_table.h"

namespace tidemill {

// What the `key.*` events make: the table, the encrypted secrets of kind aws, and when keys were last used, noted.
// Shared with the system stream and a timer, which may outlive the Keys. Calls of fold() come one at a time; the rest
// from any thread.
class KeyFold final : public std::enable_shared_from_this<KeyFold> {
 public:
  KeyFold(Env& env, SystemStream& system) : env_(env), system_(system) {}

  KeyTable table;
  CertificateTable certificates;  // by the indexes of `table`
  bool unreadable = false;        // an event was: it has been said which
  std::atomic<bool> closed{false};

  void fold(const SystemStream::Event& event);
  void start() { replaying_ = false; }  // all that happened is folded; from now on there are readers
  std::uint64_t bytes() const;

  // Of a key of kind aws: the secret of now, and the one of before within its grace. nullopt: it is none.
  std::optional<std::vector<std::string>> sealed(KeyId id) const;
  std::optional<WallTime> aws_older_until(KeyId id) const;
  bool aws_in_use() const;  // one that is not revoked

  // Events that say when keys were last used, where the stream does not. `all`: also where it knows one within a day.
  std::vector<std::string> unnoted(bool all) const;
  void note_later();  // once an hour from now on

 private:
  struct AwsSecrets {
    std::string now, before;
    WallTime until{};
  };
  bool apply(const SystemStream::Event& event);
  bool bound(const KeyBound& event);
  bool unbound(const KeyUnbound& event);
  bool used(const KeysUsed& event);

  Env& env_;
  SystemStream& system_;
  mutable std::mutex mutex_;  // for what readers of the table do not touch; held by the fold
  KeyEventReader reader_;
  bool replaying_ = true;
  std::map<KeyId, AwsSecrets> aws_;
};

}  // namespace tidemill
