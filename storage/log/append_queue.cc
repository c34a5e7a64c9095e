#include "storage/log/append_queue.h"

#include <algorithm>

#include "storage/base/check.h"
#include "storage/base/errors.h"
#include "storage/log/commit_format.h"
#include "storage/log/commit_writer.h"
#include "storage/log/record_codec.h"

namespace tidemill {
namespace {

// What is wrong with it whatever the log's state; no error: nothing.
ErrorCode invalid(const Append& a) {
  if (a.records.empty() && !a.identity && !a.source) return make_error_code(StorageErrc::invalid_argument);
  for (const NewRecord& r : a.records) {
    if (r.key.size() > kRecordKeyBytesMax) return make_error_code(StorageErrc::invalid_argument);
  }
  if (a.queued_bytes > kCommitBytesLimit / 2) return make_error_code(StorageErrc::request_too_large);
  return {};
}

}  // namespace

// A keyed request that was answered before, or is on its way right now.
std::optional<AppendQueue::Added> AppendQueue::meet_earlier(Append* a, Epoch epoch) {
  if (const auto answer = window_.find(*a->identity)) {
    if (answer->body_hash != a->identity->body_hash) {
      a->error = make_error_code(StorageErrc::key_reused);
      return Added::answered;
    }
    a->replayed = true;
    a->first = answer->first;
    a->accepted = answer->accepted;
    a->epoch = epoch;
    a->replayed_rejected.assign(answer->rejected.begin(), answer->rejected.end());
    return Added::answered;
  }
  if (const auto slot = by_key_.find(a->identity->key_hash, key_of())) {
    InFlight& flight = in_flight_[*slot];
    if (flight.original->identity->body_hash != a->identity->body_hash) {
      a->error = make_error_code(StorageErrc::key_reused);
      return Added::answered;
    }
    a->next_queued = flight.duplicates;
    flight.duplicates = a;
    return Added::waits;
  }
  return std::nullopt;
}

// Room for it in the queue and in the pond. Where there is none, says when there will be, counted as the queue counts:
// before compression.
bool AppendQueue::admit(Append* a) {
  const bool fits = bytes_ == 0 || bytes_ + a->queued_bytes <= options_.queue_bytes_max;
  if (fits && budget_.take(bytes_, a->queued_bytes, a->queued_at)) return true;
  a->error = make_error_code(StorageErrc::throttled);
  const std::uint64_t excess = fits ? budget_.own_excess(bytes_, a->queued_bytes)
                                    : std::min(bytes_, bytes_ + a->queued_bytes - options_.queue_bytes_max);
  a->retry_after = excess != 0 ? drain_.time_for(excess, a->queued_at) : budget_.time_for_room(a->queued_at);
  return false;
}

AppendQueue::Added AppendQueue::add(Append* a, Epoch epoch) {
  a->error = {};
  a->first = {};
  a->accepted = 0;
  a->replayed = false;
  a->replayed_rejected.clear();
  a->retry_after = {};
  a->next_done = a->next_queued = nullptr;
  a->queued_bytes = append_bytes_bound(*a);
  if ((a->error = invalid(*a))) return Added::answered;

  std::lock_guard lock(mutex_);
  if (a->identity) {
    // Before all refusals: an answer that is known is given even while nothing new is taken.
    if (const auto met = meet_earlier(a, epoch)) return *met;
  }
  if (refused_) {
    a->error = *refused_;
    return Added::answered;
  }
  if (a->identity && !whole_) {
    a->error = make_error_code(StorageErrc::keys_unread);
    return Added::answered;
  }
  if (!admit(a)) return Added::answered;
  if (a->identity) {
    std::uint32_t slot = 0;
    if (free_slots_.empty()) {
      slot = static_cast<std::uint32_t>(in_flight_.size());
      in_flight_.emplace_back();
    } else {
      slot = free_slots_.back();
      free_slots_.pop_back();
    }
    in_flight_[slot] = {a, nullptr};
    by_key_.insert(a->identity->key_hash, slot, key_of());
  }
  bytes_ += a->queued_bytes;
  (tail_ != nullptr ? tail_->next_queued : head_) = a;
  tail_ = a;
  if (working_) return Added::waits;
  working_ = true;
  drain_.busy(a->queued_at);
  return Added::start;
}

AppendQueue::Taken AppendQueue::take() {
  std::lock_guard lock(mutex_);
  CHECK(working_);
  CHECK(head_ != nullptr);
  Taken taken;
  taken.head = head_;
  Append* last = head_;
  taken.bytes = last->queued_bytes;
  while (last->next_queued != nullptr && taken.bytes + last->next_queued->queued_bytes <= options_.commit_bytes_max) {
    last = last->next_queued;
    taken.bytes += last->queued_bytes;
  }
  head_ = last->next_queued;
  if (head_ == nullptr) tail_ = nullptr;
  last->next_queued = nullptr;
  return taken;
}

bool AppendQueue::more() {
  std::lock_guard lock(mutex_);
  working_ = head_ != nullptr;
  return working_;
}

Append* AppendQueue::settle(const Taken& taken, MonotonicTime now) {
  std::lock_guard lock(mutex_);
  CHECK(bytes_ >= taken.bytes);
  bytes_ -= taken.bytes;
  budget_.give_back(taken.bytes, now);
  drain_.drained(taken.bytes, now);
  Append* duplicates = nullptr;
  bool keyed = false;
  for (Append* a = taken.head; a != nullptr; a = a->next_queued) {
    if (!a->identity) continue;
    keyed = true;
    const auto slot = by_key_.find(a->identity->key_hash, key_of());
    CHECK(slot && in_flight_[*slot].original == a);
    by_key_.erase(a->identity->key_hash, *slot, key_of());
    for (Append* d = in_flight_[*slot].duplicates; d != nullptr;) {
      Append* const next = d->next_queued;
      d->error = a->error;
      d->epoch = a->epoch;
      if (!a->error) {
        d->replayed = true;
        d->first = a->first;
        d->accepted = a->accepted;
        d->replayed_rejected.assign(a->rejected.begin(), a->rejected.end());
      }
      d->next_queued = duplicates;
      duplicates = d;
      d = next;
    }
    in_flight_[*slot] = {};
    free_slots_.push_back(*slot);
    if (!a->error) window_.add(*a->identity, a->first, a->accepted, a->rejected);
  }
  if (keyed) window_.mark(now);
  return duplicates;
}

void AppendQueue::close() {
  std::lock_guard lock(mutex_);
  refused_ = make_error_code(StorageErrc::closed);
}

void AppendQueue::refuse(ErrorCode error) {
  std::lock_guard lock(mutex_);
  if (!refused_) refused_ = error;
}

void AppendQueue::share_window(std::unique_ptr<RequestBudget::Account> account, MonotonicTime now) {
  std::lock_guard lock(mutex_);
  window_.mark(now);
  window_.join(std::move(account));
}

void AppendQueue::window_gives_way() {
  std::lock_guard lock(mutex_);
  window_.give_way();
  window_.gave_way();
}

void AppendQueue::make_whole(RequestWindow window) {
  std::lock_guard lock(mutex_);
  CHECK(!whole_);
  auto account = window_.leave();
  std::swap(window_, window);
  if (account) window_.join(std::move(account));
  whole_ = true;
}

bool AppendQueue::idle() const {
  std::lock_guard lock(mutex_);
  return !working_;
}

std::uint64_t AppendQueue::queued_bytes() const {
  std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace tidemill
