#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "api/context.h"
#include "consumers/views/watch.h"
#include "engine/serial.h"
#include "storage/base/metrics.h"

namespace tidemill {

class Watcher;

struct WatchMetrics {
  Gauge open;
  Counter rows;  // sent, or said to be gone
  Counter refetches;
};

// "event: row" or "event: delete".
void append_touched(std::string& out, const std::vector<views::Column>& columns, const views::Watch::Touched& row);

// What all clients of one view share: one listener at the view, and each round's text, which is made once for those
// who are in step. Held by them. Its own run only wakes them, on env.background.
class Feed final : public Serial {
 public:
  Feed(ApiContext& context, std::shared_ptr<views::Watch> watch);
  void begin();

  views::Watch& watch() { return *watch_; }
  void join(const std::shared_ptr<Watcher>& watcher);

  // A round over the whole view. What has not to be made again is shared. Round::What::wait while it rests.
  struct Shared {
    views::Watch::Point from;
    views::Watch::Round round;  // without its rows
    std::size_t rows = 0;
    std::string text;
  };
  Result<std::shared_ptr<const Shared>> next(views::Watch::Point from);
  // Somebody worked so long on what changed: the next round begins that much later, so that reading changes takes a
  // part of a processor only, and what changes often is sent less often.
  void spent(std::chrono::nanoseconds time);
  MonotonicTime rests_until() const;

 private:
  void run() override;
  void told();

  const std::shared_ptr<views::Watch> watch_;
  const std::vector<views::Watch::Range> whole_{views::Watch::Range{}};
  std::atomic<std::int64_t> not_before_{0};  // the next round, of the monotonic clock
  std::mutex rounds_mutex_;                  // held while one is made
  std::deque<std::shared_ptr<const Shared>> rounds_;
  std::mutex watchers_mutex_;
  std::set<std::weak_ptr<Watcher>, std::owner_less<std::weak_ptr<Watcher>>> watchers_;
  std::shared_ptr<void> listener_;
};

}  // namespace tidemill
