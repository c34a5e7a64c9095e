#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "storage/log/append.h"
#include "storage/log/drain_rate.h"
#include "storage/log/log.h"
#include "storage/log/pond.h"
#include "storage/log/request_window.h"

namespace tidemill {

// Where appends wait for the writer, and where keyed requests meet their earlier selves: one lock for both, held for
// a few loads and stores a request. Answers nobody while holding it.
class AppendQueue {
 public:
  // `whole`: no other key than the window's was ever answered that may still come again.
  AppendQueue(const LogOptions& options, InFlightBudget& budget, RequestWindow window, bool whole)
      : options_(options), budget_(budget), window_(std::move(window)), whole_(whole) {}

  enum class Added {
    answered,  // its result is filled in; give it to its sink
    waits,     // the writer is at work and will find it (or a request with the same key is in flight)
    start,     // nobody is at work: the caller must start the writer
  };
  Added add(Append* append, Epoch epoch);

  struct Taken {
    Append* head = nullptr;  // linked by next_queued
    std::uint64_t bytes = 0;
  };
  // The writer's: as many as fit a commit, at least one.
  Taken take();
  // The writer's, after each commit: is there more? If not, the writer is no longer at work.
  bool more();

  // The writer's: enters the results of a commit (error, epoch and first of each are set) and collects the duplicates
  // that waited, linked by next_queued, filled in. Call it after the commit was published.
  Append* settle(const Taken& taken, MonotonicTime now);

  void close();                  // no more appends: StorageErrc::closed
  void refuse(ErrorCode error);  // the same with another reason; the first one stays, but for closed
  // The window is one of many: it has an account, and gives way when the account is told to.
  void share_window(std::unique_ptr<RequestBudget::Account> account, MonotonicTime now);
  void window_gives_way();
  void make_whole(RequestWindow window);  // the keys that could not be read have been
  bool idle() const;

  std::uint64_t queued_bytes() const;
  // A look at the window under the lock.
  template <class F>
  auto with_window(F f) const {
    std::lock_guard lock(mutex_);
    return f(window_);
  }

 private:
  struct InFlight {
    Append* original = nullptr;
    Append* duplicates = nullptr;  // linked by next_queued
  };
  auto key_of() const {
    return [this](std::uint32_t i) -> const KeyTable::Key& { return in_flight_[i].original->identity->key_hash; };
  }
  std::optional<Added> meet_earlier(Append* append, Epoch epoch);
  bool admit(Append* append);

  const LogOptions options_;
  InFlightBudget& budget_;
  mutable std::mutex mutex_;
  Append* head_ = nullptr;
  Append* tail_ = nullptr;
  std::uint64_t bytes_ = 0;  // queued and being written
  bool working_ = false;
  DrainRate drain_;
  std::optional<ErrorCode> refused_;
  RequestWindow window_;
  bool whole_;  // false: keyed requests that are not in the window are refused, and none is added to it
  std::vector<InFlight> in_flight_;  // slots, used again
  std::vector<std::uint32_t> free_slots_;
  KeyTable by_key_;
};

}  // namespace tidemill
