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
  enum class Kind : std::uint8_t { denied, asked };
  Kind kind = Kind::denied;
  std::string reason;  // denied: no_key, unknown ...
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
};

// What has happened since it was last asked, in bounded memory: so many different denials, so many actions, so many
// keys with an address each; what is beyond that is counted by what it was. Any thread; holds no lock for longer than
// it takes to add one.
class AuditGather {
 public:
  static constexpr std::size_t kDeniedMax = 32;
  static constexpr std::size_t kAskedMax = 64;
  // Of each tenant's so many stand whatever the others do: nobody hides what a key does behind a flood of their own.
  static constexpr std::size_t kOfTenantMin = 4;
  static constexpr std::size_t kNotesMax = 1'024;  // of all tenants
  static constexpr std::size_t kKeysMax = 1'024;   // of each part
  static constexpr std::size_t kTextMax = 200;     // bytes of a name or a scope

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
    AuditTimes accepted_beyond;
    std::map<AuditNote, AuditTimes> notes;
    std::map<std::string, AuditTimes> denied_beyond;  // by reason
    AuditTimes asked_beyond;
    bool empty() const {
      return accepted.empty() && accepted_beyond.count == 0 && notes.empty() && denied_beyond.empty() &&
             asked_beyond.count == 0;
    }
  };

  // True: the first since take().
  bool accepted(const AuditRequest& request, WallTime now);
  bool denied(const AuditRequest& request, std::string_view reason, std::string_view needs, WallTime now);
  bool asked(const AuditRequest& request, WallTime now);
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
    std::map<User, Used, ByUser> users;
    AuditTimes beyond;
  };
  Part& own();
  bool add(AuditNote note, WallTime now);
  bool wake();
  // Under mutex_. Whether one more may be an event of its own.
  bool room(const AuditNote& note);

  std::array<Part, 8> parts_;
  std::mutex mutex_;
  std::map<AuditNote, AuditTimes> notes_;
  std::size_t denied_ = 0, asked_ = 0;                                         // of notes_
  std::map<std::string, std::array<std::size_t, 2>, std::less<>> of_tenants_;  // the same, of each tenant
  std::map<std::string, AuditTimes> denied_beyond_;
  AuditTimes asked_beyond_;
  std::atomic<bool> woken_{false};
};

// Text of somebody else's, cut off and without what is not printable ASCII.
std::string audit_text(std::string_view text);

}  // namespace tidemill
