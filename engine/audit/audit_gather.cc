#include "engine/audit/audit_gather.h"

#include <algorithm>

namespace tidemill {
namespace {

AuditSum::Of sum_of(AuditNote::Kind kind) {
  switch (kind) {
    case AuditNote::Kind::denied:
      break;
    case AuditNote::Kind::asked:
      return AuditSum::Of::asked;
    case AuditNote::Kind::ended:
      return AuditSum::Of::ended;
  }
  return AuditSum::Of::denied;
}

AuditNote note_of(AuditNote::Kind kind, const AuditRequest& request, std::string_view reason = {},
                  std::string_view needs = {}) {
  return {kind,
          std::string(reason),
          audit_text(needs),
          request.key,
          std::string(request.tenant),
          std::string(request.method),
          std::string(request.route),
          audit_text(request.name),
          std::string(request.address)};
}

}  // namespace

std::string audit_text(std::string_view text) {
  std::string out = without_secrets(text.substr(0, AuditGather::kTextMax));
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e) c = '?';
  if (text.size() > AuditGather::kTextMax) out += "...";
  return out;
}

void AuditTimes::add(std::uint64_t n, WallTime from, WallTime to) {
  first = count == 0 ? from : std::min(first, from);
  last = count == 0 ? to : std::max(last, to);
  count += n;
}

void AuditTimes::add(const AuditTimes& more) {
  if (more.count != 0) add(more.count, more.first, more.last);
}

void AuditSums::add(AuditSum sum, const AuditTimes& more) {
  auto it = sums_.find(sum);
  if (it == sums_.end()) {
    if (sums_.size() >= kMax) sum.tenant.clear();
    it = sums_.try_emplace(std::move(sum)).first;
  }
  it->second.add(more);
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
  if (AuditTimes* times = part.users.find(request.tenant, ByUser::View(*request.key, request.address))) {
    times->add(1, now, now);
    return wake();
  }
  const auto beyond = [&](std::string_view tenant, const AuditTimes& times) {
    part.beyond.add({AuditSum::Of::accepted, std::string(tenant), {}}, times);
  };
  AuditTimes one;
  one.add(1, now, now);
  if (part.users.room(request.tenant, [&](const std::string& tenant, const User&, const AuditTimes& times) {
        beyond(tenant, times);
      })) {
    part.users.add(request.tenant, User{*request.key, std::string(request.address)}) = one;
  } else {
    beyond(request.tenant, one);
  }
  return wake();
}

bool AuditGather::denied(const AuditRequest& request, std::string_view reason, std::string_view needs, WallTime now) {
  return add(note_of(AuditNote::Kind::denied, request, reason, needs), now);
}

bool AuditGather::asked(const AuditRequest& request, WallTime now) {
  return add(note_of(AuditNote::Kind::asked, request), now);
}

bool AuditGather::ended(const AuditRequest& request, std::string_view reason, WallTime now) {
  return add(note_of(AuditNote::Kind::ended, request, reason), now);
}

bool AuditGather::add(AuditNote note, WallTime now) {
  const std::lock_guard lock(mutex_);
  Notes& notes = note.kind == AuditNote::Kind::asked ? asked_ : denied_;
  if (AuditTimes* times = notes.find(note.tenant, note)) {
    times->add(1, now, now);
    return wake();
  }
  const auto beyond = [&](const AuditNote& of, const AuditTimes& times) {
    beyond_.add({sum_of(of.kind), of.tenant, of.reason}, times);
  };
  AuditTimes one;
  one.add(1, now, now);
  if (notes.room(note.tenant,
                 [&](const std::string&, const AuditNote& gone, const AuditTimes& times) { beyond(gone, times); })) {
    const std::string tenant = note.tenant;
    notes.add(tenant, std::move(note)) = one;
  } else {
    beyond(note, one);
  }
  return wake();
}

AuditGather::Gathered AuditGather::take() {
  Gathered out;
  woken_.store(false);
  for (Part& part : parts_) {
    decltype(part.users)::ByTenant users;
    AuditSums beyond;
    {
      const std::lock_guard lock(part.mutex);
      users = part.users.take();
      beyond = std::exchange(part.beyond, {});
    }
    for (auto& [tenant, of_tenant] : users) {
      for (auto& [user, times] : of_tenant) {
        Used& sum = out.accepted[user];
        sum.tenant = tenant;
        sum.times.add(times);
      }
    }
    for (const auto& [sum, times] : beyond.all()) out.beyond.add(sum, times);
  }
  Notes::ByTenant denied, asked;
  AuditSums beyond;
  {
    const std::lock_guard lock(mutex_);
    denied = denied_.take();
    asked = asked_.take();
    beyond = std::exchange(beyond_, {});
  }
  for (auto* notes : {&denied, &asked})
    for (auto& [tenant, of_tenant] : *notes) out.notes.merge(of_tenant);
  for (const auto& [sum, times] : beyond.all()) out.beyond.add(sum, times);
  return out;
}

}  // namespace tidemill
