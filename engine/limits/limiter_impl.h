#pragma once

#include "engine/limits/accounts.h"
#include "engine/limits/limiter.h"
#include "storage/seam/clock.h"

// Behind Limiter::open() only.
namespace tidemill::limits {

// Shared with the system stream and the timer, which may outlive the Limiter.
class Core final : public std::enable_shared_from_this<Core> {
 public:
  Core(Env& env, SystemStream& system, Limiter::Options options)
      : env_(env), system_(system), options_(std::move(options)) {}
  Result<void> start();
  void close();

  Accounts accounts;

  Moment now() const { return {env_.clock.wall(), env_.clock.monotonic()}; }
  // Sums up what the usage log has of this day and month for owners with quotas: all of them, or the one.
  Result<void> read_back(const LimitOwner* only);
  void write_usage(Accounts::Which which = Accounts::Which::all);
  void measure_disks();
  Env& env() { return env_; }
  SystemStream& system() { return system_; }
  std::uint64_t changes_per_hour() const { return options_.changes_per_hour; }

 private:
  Tenant* tenant_of(const LimitOwner& owner);  // nullptr: nobody knows yet
  void fold(const SystemStream::Event& event);
  bool apply(const SystemStream::Event& event);
  void later();
  void tick();

  Env& env_;
  SystemStream& system_;
  const Limiter::Options options_;
  bool unreadable_ = false;
  std::mutex writing_;  // the usage log is one's own while this is held
  bool closed_ = false;
};

// Key and tenant of a request, locked.
class Both {
 public:
  Both(Accounts& accounts, const std::optional<KeyId>& key, const std::string& tenant);
  Account* account() const { return account_; }
  bool limited() const { return own() != nullptr || of_tenant_ != nullptr; }
  const LimitSet* of_key() const { return own() ? own()->limits.get() : nullptr; }
  const LimitSet* of_tenant() const { return of_tenant_; }
  Tenant* tenant() const { return tenant_; }

  std::optional<Refusal> refuses(const Moment& now, const Amounts& amounts);
  void take(const Moment& now, const Amounts& amounts);
  void spend(const Moment& now, const Amounts& amounts);
  void give_back(const Amounts& amounts, MonotonicTime taken);
  void give_back_quota(const Amounts& amounts, MonotonicTime taken);
  void standings(const Moment& now, std::vector<Standing>& out);
  // Adds to what the key has used. Nothing where there is none.
  void count(std::int64_t requests, const Amounts& amounts, std::int64_t sign, std::int64_t refused = 0);
  // Counts one that was refused; `admitted`: since when it had been counted as a request.
  void count_refused(const Refusal& refusal, std::optional<MonotonicTime> admitted);
  Account::Own* own() const { return account_ ? account_->own.get() : nullptr; }

 private:
  Accounts& accounts_;
  std::unique_lock<std::mutex> shard_lock_, tenant_lock_;
  KeyId key_;
  Shard* shard_ = nullptr;
  Account* account_ = nullptr;
  Tenant* tenant_ = nullptr;
  const LimitSet* of_tenant_ = nullptr;  // nullptr: it has no limits, and is not locked
};

}  // namespace tidemill::limits
