#include "consumers/views/decisions.h"

namespace tidemill::views {

void Decisions::add(Sequence sequence, Decision decision) {
  const std::lock_guard lock(mutex_);
  switch (decision.kind) {
    case Decision::Kind::skip:
      ++counts_.skipped;
      break;
    case Decision::Kind::redrive:
      ++counts_.redriven;
      break;
    case Decision::Kind::edit:
      ++counts_.edited;
      break;
  }
  Decision& kept = all_[sequence.value()];
  if (decision.kind != Decision::Kind::redrive || kept.kind != Decision::Kind::edit) {
    bytes_ -= kept.data.size();
    bytes_ += decision.data.size();
    kept = std::move(decision);
  }
  if (sequence.value() > last_) last_ = sequence.value();
}

Decision Decisions::after(Sequence sequence, const Decision& decision) const {
  const std::lock_guard lock(mutex_);
  const auto there = all_.find(sequence.value());
  const bool edited = there != all_.end() && there->second.kind == Decision::Kind::edit;
  return edited && decision.kind == Decision::Kind::redrive ? there->second : decision;
}

std::vector<Decided> Decisions::within(Sequence first, Sequence last) const {
  const std::lock_guard lock(mutex_);
  std::vector<Decided> out;
  for (auto at = all_.lower_bound(first.value()); at != all_.end() && at->first <= last.value(); ++at)
    out.push_back({Sequence(at->first), at->second});
  return out;
}

std::vector<Decided> Decisions::some(Sequence from, std::size_t most) const {
  const std::lock_guard lock(mutex_);
  std::vector<Decided> out;
  for (auto at = all_.lower_bound(from.value()); at != all_.end() && out.size() < most; ++at)
    out.push_back({Sequence(at->first), at->second});
  return out;
}

std::uint64_t Decisions::size() const {
  const std::lock_guard lock(mutex_);
  return all_.size();
}
std::uint64_t Decisions::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}
Decisions::Counts Decisions::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

}  // namespace tidemill::views
