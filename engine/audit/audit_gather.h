#pragma once

#include <array>
#include <atomic>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/audit/fair_table.h"
#include "engine/keys/key_text.h"
#include "storage/base/time.h"

namespace tidemill {

// What is known of a request, for the audit trail. Views that are good during the call.
struct AuditRequest {
  std::optional<KeyId> key;  // where its secret was right
  std::string_view tenant;   // the key's; empty: none is known
  std::string_view method;
  std::string_view route;    // its label, as in metrics
  std::string_view name;     // of the stream, view or key that the path names
  std::string_view address;  // whom the connection is with, without the port
};

// One thing that happened; those that are the same are one, with a count.
struct AuditNote {
  enum class Kind : std::uint8_t { denied, asked, ended };
  Kind kind = Kind::denied;
  std::string reason;  // denied: no_key, unknown ...; ended: revoked, expired ...
  std::string needs;   // denied: the scope that is missing
  std::optional<KeyId> key;
  std::string tenant, method, route, name, address;
  auto operator<=>(const AuditNote&) const = default;
};

struct AuditTimes {
  std::uint64_t count = 0;
  WallTime first{};
  WallTime last{};
  void add(std::uint64_t n, WallTime from, WallTime to);
  void add(const AuditTimes& more);
};

// What there are too many different ones of for an event each: counted by what it was and whose. Bounded: of more
// tenants than that it is not said whose they were.
struct AuditSum {
  enum class Of : std::uint8_t { denied, asked, accepted, ended };
  Of of = Of::denied;
  std::string tenant;
  std::string reason;  // of denials and ends
  auto operator<=>(const AuditSum&) const = default;
};
class AuditSums {
 public:
  static constexpr std::size_t kMax = 1'024;
  void add(AuditSum sum, const AuditTimes& more);
  bool empty() const { return sums_.empty(); }
  const std::map<AuditSum, AuditTimes>& all() const { return sums_; }

 private:
  std::map<AuditSum, AuditTimes> sums_;
};

// What has happened since it was last asked, in bounded memory: so many different denials, so many actions, so many
// keys with an address each, in which each tenant has its share; what is beyond that is counted by what it was. Any
// thread; holds no lock for longer than it takes to add one.
class AuditGather {
 public:
  static constexpr std::size_t kDeniedMax = 32;   // of a tenant, ends among them; of requests without one together
  static constexpr std::size_t kAskedMax = 64;    // of a tenant
  static constexpr std::size_t kNotesMax = 512;   // of all tenants, of each of the two
  static constexpr std::size_t kKeysMax = 1'024;  // of all tenants, of each part
  static constexpr std::size_t kTextMax = 200;    // bytes of a name or a scope

  struct User {
    KeyId key;
    std::string address;
    auto operator<=>(const User&) const = default;
  };
  struct Used {
    std::string tenant;
    AuditTimes times;
  };
  struct Gathered {
    std::map<User, Used> accepted;
    std::map<AuditNote, AuditTimes> notes;
    AuditSums beyond;
  };

  // True: the first since take().
  bool accepted(const AuditRequest& request, WallTime now);
  bool denied(const AuditRequest& request, std::string_view reason, std::string_view needs, WallTime now);
  bool asked(const AuditRequest& request, WallTime now);
  bool ended(const AuditRequest& request, std::string_view reason, WallTime now);
  Gathered take();

 private:
  struct ByUser {  // also by a view of the address, without making a string
    using is_transparent = void;
    using View = std::pair<KeyId, std::string_view>;
    static View view(const User& u) { return {u.key, u.address}; }
    static const View& view(const View& v) { return v; }
    template <class A, class B>
    bool operator()(const A& a, const B& b) const {
      return view(a) < view(b);
    }
  };
  // Each network thread adds to a part of its own, so that none waits for another.
  struct Part {
    std::mutex mutex;
    FairTable<User, AuditTimes, ByUser> users{kKeysMax, kKeysMax};
    AuditSums beyond;
  };
  Part& own();
  bool add(AuditNote note, WallTime now);
  bool wake();

  std::array<Part, 8> parts_;
  std::mutex mutex_;
  using Notes = FairTable<AuditNote, AuditTimes>;
  Notes denied_{kNotesMax, kDeniedMax};
  Notes asked_{kNotesMax, kAskedMax};
  AuditSums beyond_;
  std::atomic<bool> woken_{false};
};

// Text of somebody else's, cut off, without what is not printable ASCII and without secrets of keys.
std::string audit_text(std::string_view text);

}  // namespace tidemill
