#include "engine/audit/audit_gather.h"

#include <algorithm>

namespace tidemill {

std::string audit_text(std::string_view text) {
  std::string out(text.substr(0, AuditGather::kTextMax));
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e) c = '?';
  if (text.size() > out.size()) out += "...";
  return out;
}

void AuditTimes::add(std::uint64_t n, WallTime from, WallTime to) {
  first = count == 0 ? from : std::min(first, from);
  last = count == 0 ? to : std::max(last, to);
  count += n;
}

AuditGather::Part& AuditGather::own() {
  static std::atomic<std::size_t> threads{0};
  thread_local const std::size_t mine = threads.fetch_add(1, std::memory_order_relaxed);
  return parts_[mine % parts_.size()];
}

bool AuditGather::wake() {
  return !woken_.load(std::memory_order_relaxed) && !woken_.exchange(true);
}

bool AuditGather::accepted(const AuditRequest& request, WallTime now) {
  if (!request.key) return false;
  Part& part = own();
  const std::lock_guard lock(part.mutex);
  const auto it = part.users.find(ByUser::View(*request.key, request.address));
  if (it != part.users.end()) {
    it->second.times.add(1, now, now);
  } else if (part.users.size() < kKeysMax) {
    Used& used = part.users[User{*request.key, std::string(request.address)}];
    used.tenant = request.tenant;
    used.times.add(1, now, now);
  } else {
    part.beyond.add(1, now, now);
  }
  return wake();
}

bool AuditGather::room(const AuditNote& note) {
  const bool denied = note.kind == AuditNote::Kind::denied;
  std::size_t& all = denied ? denied_ : asked_;
  const bool many = all >= (denied ? kDeniedMax : kAskedMax);
  // What has no tenant came without a good key: anybody can send that.
  if (many && (note.tenant.empty() || notes_.size() >= kNotesMax)) return false;
  if (!note.tenant.empty()) {
    std::size_t& own = of_tenants_[note.tenant][denied ? 0 : 1];
    if (many && own >= kOfTenantMin) return false;
    ++own;
  }
  ++all;
  return true;
}

bool AuditGather::denied(const AuditRequest& request, std::string_view reason, std::string_view needs, WallTime now) {
  AuditNote note{
      AuditNote::Kind::denied,     std::string(reason),         audit_text(needs),          request.key,
      std::string(request.tenant), std::string(request.method), std::string(request.route), audit_text(request.name),
      std::string(request.address)};
  return add(std::move(note), now);
}

bool AuditGather::asked(const AuditRequest& request, WallTime now) {
  AuditNote note{AuditNote::Kind::asked,
                 {},
                 {},
                 request.key,
                 std::string(request.tenant),
                 std::string(request.method),
                 std::string(request.route),
                 audit_text(request.name),
                 std::string(request.address)};
  return add(std::move(note), now);
}

bool AuditGather::add(AuditNote note, WallTime now) {
  const std::lock_guard lock(mutex_);
  if (const auto it = notes_.find(note); it != notes_.end()) {
    it->second.add(1, now, now);
  } else if (room(note)) {
    notes_[std::move(note)].add(1, now, now);
  } else if (note.kind == AuditNote::Kind::denied) {
    denied_beyond_[std::move(note.reason)].add(1, now, now);
  } else {
    asked_beyond_.add(1, now, now);
  }
  return wake();
}

AuditGather::Gathered AuditGather::take() {
  Gathered out;
  woken_.store(false);
  for (Part& part : parts_) {
    decltype(part.users) users;
    {
      const std::lock_guard lock(part.mutex);
      users.swap(part.users);
      const AuditTimes beyond = std::exchange(part.beyond, {});
      if (beyond.count != 0) out.accepted_beyond.add(beyond.count, beyond.first, beyond.last);
    }
    for (auto& [user, used] : users) {
      Used& sum = out.accepted[user];
      sum.tenant = std::move(used.tenant);
      sum.times.add(used.times.count, used.times.first, used.times.last);
    }
  }
  const std::lock_guard lock(mutex_);
  out.notes = std::exchange(notes_, {});
  out.denied_beyond = std::exchange(denied_beyond_, {});
  out.asked_beyond = std::exchange(asked_beyond_, {});
  denied_ = asked_ = 0;
  of_tenants_.clear();
  return out;
}

}  // namespace tidemill
