#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/limits/limit_events.h"
#include "engine/limits/limit_set.h"
#include "engine/limits/refusal.h"
#include "engine/system_stream.h"
#include "engine/usage/usage_log.h"
#include "storage/base/result.h"
#include "storage/seam/env.h"

namespace tidemill {

// Who may use how much, and who has used what. Limits of keys and tenants are a fold of the `limits.*` events of the
// system stream; what is used is counted in memory, handed to the usage log (once a second where there is a quota,
// else every ten), and read back from there at the start as far as quotas need it. A request must pass both its key's
// limits and its tenant's.
//
// Made by main, after keys and usage log and before whoever serves; outlives the connections. Any thread; what is on a
// request's path never blocks on the disk: it holds one of 32 locks, by key, and its tenant's where that has limits.
class Limiter {
 public:
  struct Options {
    Executor& writer;           // a thread that may block; nothing that it waits for runs there
    UsageLog* usage = nullptr;  // outlives this; nullptr: quotas begin anew with each start
    // What the logs of a tenant's streams take. Asked on `writer`, once a second for each tenant with such a limit.
    std::function<std::uint64_t(const std::string& tenant)> disk_bytes = {};
    std::uint64_t changes_per_hour = 0;  // of definitions, by a tenant's keys; so many at once. 0: no limit
  };
  // Blocks on the disk. StorageErrc::damaged: an event cannot be read; it said which.
  static Result<std::unique_ptr<Limiter>> open(Env& env, SystemStream& system, const Options& options);
  virtual ~Limiter() = default;

  // --- On a request's path. `key`: none where there are no keys at all.

  struct Admitted {
    std::optional<Refusal> refused;
    // When it was let in; what counts it back is told. None: neither its key nor its tenant has limits.
    std::optional<MonotonicTime> limited;
    bool connections = false;  // one of them of connections: hold() must be asked, too
  };
  // One request: takes its token and counts it. `standings`, here and below: filled with how key and tenant stand
  // afterwards, as standings() says it; nullptr: nobody asks. Left alone where there are no limits.
  virtual Admitted admit(const std::optional<KeyId>& key, const std::string& tenant,
                         std::vector<Standing>* standings) = 0;
  // Of an admitted request: whether so much would pass by now. Takes nothing. A request that this refuses, or charge(),
  // counts as refused; its token stays used. `admitted`: as admit() said, here and below.
  virtual std::optional<Refusal> foresee(const std::optional<KeyId>& key, const std::string& tenant,
                                         const Amounts& amounts, MonotonicTime admitted) = 0;
  // Takes records and bytes, all or nothing.
  virtual std::optional<Refusal> charge(const std::optional<KeyId>& key, const std::string& tenant,
                                        const Amounts& amounts, MonotonicTime admitted,
                                        std::vector<Standing>* standings) = 0;
  // What was charged, at `charged` or a little later, and is not stored after all. A day or month that has begun since
  // has none of it.
  virtual void give_back(const std::optional<KeyId>& key, const std::string& tenant, const Amounts& amounts,
                         MonotonicTime charged) = 0;
  // What was charged and was stored before: quotas and usage do not count it. The rates do, or whoever sends the same
  // again and again would pass them.
  virtual void replayed(const std::optional<KeyId>& key, const std::string& tenant, const Amounts& amounts,
                        MonotonicTime charged) = 0;
  // A body that was read and of which nothing is stored: the rates take it, into debt where they must.
  virtual void spend(const std::optional<KeyId>& key, const std::string& tenant, const Amounts& amounts) = 0;
  // Counts the connection that the request came on, as long as `held`, which is the connection's, lives. A connection
  // counts for the key of its latest request.
  virtual std::optional<Refusal> hold(const std::optional<KeyId>& key, const std::string& tenant,
                                      std::shared_ptr<void>& held, MonotonicTime admitted) = 0;
  // Of an admitted request that asks to change a definition: takes one of its tenant's changes.
  virtual std::optional<Refusal> change(const std::optional<KeyId>& key, const std::string& tenant,
                                        MonotonicTime admitted) = 0;
  // Rates and quotas of key and tenant, the key's first.
  virtual void standings(const std::optional<KeyId>& key, const std::string& tenant, std::vector<Standing>& out) = 0;

  // Whether a tenant that has so many streams may have one more. Whoever asks holds creating() until that is made: of
  // two that come at once, the second finds the first there.
  virtual std::unique_lock<std::mutex> creating() = 0;
  virtual std::optional<Refusal> new_stream(const std::string& tenant, std::uint64_t there) = 0;

  // --- Definitions. Changes are durable, and hold for the next request, when they return; they block, and never run
  // inside a task that the system stream needs (Engine::control()), on `writer`, nor on a network thread.
  // StorageErrc::throttled: a quota of another key of this tenant is being set, for which its usage is read. What is so
  // already writes nothing.
  virtual Result<void> set(const LimitOwner& owner, const LimitSet& limits, std::optional<KeyId> by) = 0;
  virtual Result<void> remove(const LimitOwner& owner, std::optional<KeyId> by) = 0;
  virtual std::shared_ptr<const LimitSet> find(const LimitOwner& owner) const = 0;  // nullptr: it has none
  virtual std::vector<std::pair<KeyId, std::shared_ptr<const LimitSet>>> keys(std::optional<KeyId> after,
                                                                              std::size_t most) const = 0;
  virtual std::vector<std::pair<std::string, std::shared_ptr<const LimitSet>>> tenants() const = 0;

  struct Used {
    std::uint64_t connections = 0;  // of those that count
    std::uint64_t disk_bytes = 0;   // as of the last second, where there is a limit
  };
  virtual Used used(const LimitOwner& owner) = 0;

  // --- For metrics.
  struct Refused {
    std::string tenant;
    std::array<std::uint64_t, kLimitKinds> of{};  // requests, by the kind of limit
  };
  virtual std::vector<Refused> refused() const = 0;
  virtual std::size_t accounts() const = 0;  // keys that are remembered

  // Hands over what was counted. Blocks.
  virtual void write_usage() = 0;
  virtual void close() = 0;  // the same, and no more by itself. Before Engine::close()
};

}  // namespace tidemill
